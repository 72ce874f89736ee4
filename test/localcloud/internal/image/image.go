// Package image is the AMIs and snapshots of EC2. What is said here of texts, of the order of checks, of fields and of times was recorded from
// the real service or is documented; what is inferred says so.
package image

import (
	"context"
	"sync"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Disks are the disks of instances, where they have real ones.
type Disks interface {
	// Snapshot stores what is on a disk of an instance now, running or stopped, in the block store, and returns its manifest. device is as
	// EC2 names it, such as /dev/xvda.
	Snapshot(ctx context.Context, instance, device string) (bake.Digest, error)
}

// Windows is how long what was done is not seen yet.
type Windows interface {
	// Window returns the length of a window now. This package asks for ebs:readable, from when a snapshot is completed until EBS direct
	// knows it.
	Window(kind string) time.Duration
}

// Service is the AMIs and snapshots of all accounts and regions.
type Service struct {
	store   *state.Store
	blocks  *disk.Store
	disks   Disks                            // nil where instances have none
	reboot  func(r *state.Region, id string) // nil: instances go on running
	windows Windows                          // nil: there are none
	work    sync.WaitGroup
}

// New returns the service. Contents of snapshots stand in blocks.
func New(store *state.Store, blocks *disk.Store) *Service {
	return &Service{store: store, blocks: blocks}
}

// SetDisks says where the disks of instances are, before the first request. reboot is called inside an Update for a running instance that
// CreateImage may restart; it may be nil.
func (s *Service) SetDisks(d Disks, reboot func(r *state.Region, id string)) {
	s.disks, s.reboot = d, reboot
}

// SetWindows is called before the first request, where there are windows.
func (s *Service) SetWindows(w Windows) { s.windows = w }

// Register adds the operations to the service named ec2.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.registerImage)
	wire.Handle(svc, s.createImage)
	wire.Handle(svc, s.copyImage)
	wire.Handle(svc, s.describeImages)
	wire.Handle(svc, s.deregisterImage)
	wire.Handle(svc, s.describeImageAttribute)
	wire.Handle(svc, s.modifyImageAttribute)
	wire.Handle(svc, s.resetImageAttribute)
	wire.Handle(svc, s.enableImage)
	wire.Handle(svc, s.disableImage)
	wire.Handle(svc, s.enableDeprecation)
	wire.Handle(svc, s.disableDeprecation)
	wire.Handle(svc, s.enableProtection)
	wire.Handle(svc, s.disableProtection)
	wire.Handle(svc, s.ancestry)
	wire.Handle(svc, s.references)
	wire.Handle(svc, s.attachWatermark)
	wire.Handle(svc, s.detachWatermark)
	wire.Handle(svc, s.describeSnapshots)
	wire.Handle(svc, s.createSnapshot)
	wire.Handle(svc, s.createSnapshots)
	wire.Handle(svc, s.copySnapshot)
	wire.Handle(svc, s.deleteSnapshot)
	wire.Handle(svc, s.describeSnapshotAttribute)
	wire.Handle(svc, s.modifySnapshotAttribute)
	wire.Handle(svc, s.resetSnapshotAttribute)
	wire.Handle(svc, s.getEncryption)
	wire.Handle(svc, s.enableEncryption)
	wire.Handle(svc, s.disableEncryption)
	wire.Handle(svc, s.getKey)
	wire.Handle(svc, s.modifyKey)
	wire.Handle(svc, s.resetKey)
}

// Resume takes up what was under way in a region when the process ended. It is called before the first request.
func (s *Service) Resume(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		for id, snap := range r.Snapshots.All() {
			switch {
			case snap.Deleted || snap.Direct != nil || snap.State != ec2types.SnapshotStatePending:
			case snap.Source != nil:
				r.Then(func() { s.startCopy(context.Background(), region, id) })
			default:
				r.Then(func() { s.take(context.Background(), region, id) })
			}
		}
		return nil
	})
}

// Close returns when what is being done to snapshots has been done.
func (s *Service) Close() { s.work.Wait() }

// after calls f when d has passed, as work that Close waits for.
func (s *Service) after(d time.Duration, f func()) {
	s.store.Clock().AfterFunc(d, func() {
		s.work.Add(1)
		defer s.work.Done()
		f()
	})
}

func (s *Service) readableAfter() time.Duration {
	if s.windows == nil {
		return 0
	}
	return max(0, s.windows.Window("ebs:readable"))
}
