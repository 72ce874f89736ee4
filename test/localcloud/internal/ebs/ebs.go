// Package ebs is the EBS direct APIs: snapshots that are written and read block by block. What is said here of texts, of the order of checks and
// of times was recorded from the real service; where it was not, the comment says so.
package ebs

import (
	"context"
	"sync"
	"time"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Windows is how long what was done is not seen yet.
type Windows interface {
	// Window returns the length of a window now. This package asks for
	//   - ebs:writable, from StartSnapshot until blocks are taken,
	//   - ebs:readable, from when EC2 calls a snapshot completed until EBS direct knows it.
	Window(kind string) time.Duration
}

// Service is the EBS direct APIs of all accounts and regions.
type Service struct {
	store   *state.Store
	blocks  *disk.Store
	windows Windows // nil: there are none

	maps    manifests
	written sync.Map // snapshot id → time.Time of the last block
	work    sync.WaitGroup
}

// New returns the service. Blocks of snapshots stand in blocks, where open snapshots and completed ones are held against collections.
func New(store *state.Store, blocks *disk.Store) *Service {
	return &Service{store: store, blocks: blocks}
}

// SetWindows is called before the first request, where there are windows.
func (s *Service) SetWindows(w Windows) { s.windows = w }

// Register adds the operations to the service named ebs.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.start)
	wire.Handle(svc, s.put)
	wire.Handle(svc, s.complete)
	wire.Handle(svc, s.listBlocks)
	wire.Handle(svc, s.listChanged)
	wire.Handle(svc, s.get)
}

// Resume takes up what was under way in a region when the process ended. It is called before the first request.
func (s *Service) Resume(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		for id, snap := range r.Snapshots.All() {
			switch {
			case snap.Deleted:
				r.Then(func() { giveUp(s.store, s.blocks, region, id) })
			case snap.Direct == nil || snap.State != "pending":
			case snap.Direct.Completion != nil:
				s.after(0, func() { s.finish(context.Background(), region, id) })
			default:
				s.after(snap.Direct.Timeout+timeoutLag, func() { s.expire(region, id) })
			}
		}
		return nil
	})
}

// Close returns when what is being done to snapshots has been done. What is to come later is not; Resume takes it up.
func (s *Service) Close() { s.work.Wait() }

func (s *Service) window(kind string) time.Duration {
	if s.windows == nil {
		return 0
	}
	return max(0, s.windows.Window(kind))
}

// after calls f when d has passed, as work that Close waits for.
func (s *Service) after(d time.Duration, f func()) {
	s.store.Clock().AfterFunc(d, func() {
		s.work.Add(1)
		defer s.work.Done()
		f()
	})
}
