package ec2

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/internal/sdkerr"
)

const (
	// tries is how many snapshots are begun when one after the other ends in error.
	tries = 3
	// completeTime bounds the wait for a snapshot all of whose blocks are there.
	completeTime = time.Hour
)

// errSpoilt is wrapped when a snapshot will never be complete: another one may.
var errSpoilt = errors.New("the snapshot is of no use")

// upload is a disk on its way into a snapshot of an account.
type upload struct {
	job
	at       *target.Target
	entry    *entry
	manifest disk.Manifest
	task     *bake.Task
	asked    bool // for a snapshot: there may be one, also where no answer came
	sealed   bool // every block has arrived
}

// snapshotOf returns a complete snapshot of the job's disk: one that an earlier process has begun, or a new one.
func (j job) snapshotOf(ctx context.Context, at *target.Target, e *entry) (id string, err error) {
	u := &upload{job: j, at: at, entry: e}
	if _, err := j.c.Store.Reader(ctx, j.img.Disk); err != nil { // holds the disk against a collection
		return "", fmt.Errorf("disk of %s: %w", j.img.Ref, err)
	}
	if u.manifest, err = j.c.Store.Manifest(ctx, j.img.Disk); err != nil {
		return "", fmt.Errorf("disk of %s: %w", j.img.Ref, err)
	}
	u.task = j.start("upload to %s", place(at))
	for range tries {
		if id, err = u.once(ctx); err == nil {
			return id, u.task.End(nil)
		}
		if err = errors.Join(err, u.release(ctx, err)); !errors.Is(err, errSpoilt) {
			break
		}
		u.task.Warn("%v", target.Terse(err))
	}
	return "", u.task.End(target.Terse(fmt.Errorf("snapshot in %s: %w", place(at), err)))
}

// once takes one snapshot from where it is to its end.
func (u *upload) once(ctx context.Context) (string, error) {
	u.sealed = false
	resumed, err := u.resume(ctx)
	if err != nil {
		return "", err
	}
	from, encrypted, err := u.open(ctx)
	if err != nil {
		return "", err
	}
	if resumed {
		u.task.Note("going on with %s, which %s began", u.entry.Snapshot, u.entry.Run)
		if done, err := u.alreadyDone(ctx); done || err != nil {
			return u.entry.Snapshot, err
		}
	}
	blocks := changes(u.manifest, from, encrypted)
	if err := u.fill(ctx, blocks); err != nil {
		return "", err
	}
	u.sealed = true
	return u.entry.Snapshot, u.wait(ctx)
}

// resume takes up what is on record. What was to be deleted is deleted first.
func (u *upload) resume(ctx context.Context) (bool, error) {
	if u.entry.known() && u.entry.Drop {
		u.asked = true
		if err := u.drop(ctx); err != nil {
			return false, err
		}
	}
	return u.entry.known(), nil
}

// open returns what the snapshot begins as, when it is open.
func (u *upload) open(ctx context.Context) (from *basis, encrypted bool, err error) {
	if !u.entry.known() {
		if err := u.choose(ctx); err != nil {
			return nil, false, err
		}
	}
	if from, err = u.basis(ctx); err != nil {
		return nil, false, err
	}
	var out *ebs.StartSnapshotOutput
	err = u.until(ctx, u.c.Clock.Now().Add(settleTime), notComplete, func() (err error) {
		out, err = u.start(ctx)
		return err
	})
	if from != nil && refusesParent(err) {
		u.task.Note("%s cannot be built on, so that every block is written: %v", from.Snapshot, target.Terse(err))
		if err := u.begin(ctx, nil); err != nil {
			return nil, false, err
		}
		return u.open(ctx)
	}
	if askedOtherwise(err) {
		return nil, false, fmt.Errorf("%w: another version of iibake began it: %w", errSpoilt, err)
	}
	if err != nil {
		return nil, false, explain(err)
	}
	return from, aws.ToString(out.KmsKeyArn) != "", u.entry.started(ctx, aws.ToString(out.SnapshotId))
}

// choose puts an intent on record, with the parent that leaves the least to do.
func (u *upload) choose(ctx context.Context) error {
	encrypted, err := u.encryptsByDefault(ctx, u.at)
	if err != nil {
		return err
	}
	from, err := u.nearest(ctx, u.at, u.manifest, encrypted)
	if err != nil {
		return err
	}
	return u.begin(ctx, from)
}

// basis returns the parent that is on record, which another process may have chosen.
func (u *upload) basis(ctx context.Context) (*basis, error) {
	if u.entry.Parent == nil {
		return nil, nil //nolint:nilnil // none is a choice
	}
	old, err := u.c.Store.Manifest(ctx, u.entry.Parent.Disk)
	if errors.Is(err, disk.ErrNotFound) {
		return nil, fmt.Errorf("%w: what its parent holds is not known any more: %w", errSpoilt, err)
	}
	return &basis{*u.entry.Parent, old}, err
}

func (u *upload) begin(ctx context.Context, from *basis) error {
	u.entry.Parent = nil
	if from != nil {
		u.entry.Parent = &from.origin
	}
	return u.entry.begin(ctx, u.at, u.c.Clock.Now())
}

func (u *upload) start(ctx context.Context) (*ebs.StartSnapshotOutput, error) {
	in := &ebs.StartSnapshotInput{
		VolumeSize: aws.Int64(volumeGiB(u.manifest)), ClientToken: u.entry.token("snapshot"), Tags: u.ebsTags(u.entry.Run),
		Description: aws.String("iibake: disk of " + u.img.String()),
	}
	if u.entry.Parent != nil {
		in.ParentSnapshotId = &u.entry.Parent.Snapshot
	}
	u.asked = true
	return target.EBS(u.at).StartSnapshot(ctx, in)
}

// notComplete reports whether a parent was completed so lately that not every part of AWS knows it.
func notComplete(err error) bool { return says(err, "is not complete") }

// refusesParent reports whether a snapshot may succeed without its parent: it was deleted, or the account encrypts everything and the
// parent is not encrypted.
func refusesParent(err error) bool {
	return sdkerr.Code(err) == "ResourceNotFoundException" || sdkerr.Code(err) == "ValidationException"
}

// askedOtherwise reports whether the token is that of a snapshot that was asked for in other words: by another version of iibake.
func askedOtherwise(err error) bool {
	conflict, ok := errors.AsType[*ebstypes.ConflictException](err)
	return ok && strings.Contains(conflict.ErrorMessage(), "does not match")
}

// alreadyDone looks at what has become of the snapshot of an earlier process.
func (u *upload) alreadyDone(ctx context.Context) (bool, error) {
	var s *ec2types.Snapshot
	end := u.c.Clock.Now().Add(settleTime) // at the latest: another machine's clock may have been wrong
	if known := u.entry.At.Add(settleTime); known.Before(end) {
		end = known
	}
	err := u.until(ctx, end, func(err error) bool { return errors.Is(err, errSpoilt) }, func() (err error) {
		if s, err = u.snapshot(ctx, u.at, u.entry.Snapshot); err == nil && s == nil {
			err = fmt.Errorf("%w: %s was deleted", errSpoilt, u.entry.Snapshot)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	u.sealed = s.State == ec2types.SnapshotStateCompleted
	return u.sealed, spoilt(*s)
}

// spoilt returns an error for a snapshot that has ended badly.
func spoilt(s ec2types.Snapshot) error {
	if s.State != ec2types.SnapshotStateError {
		return nil
	}
	return fmt.Errorf("%w: %s is in error: %s", errSpoilt, aws.ToString(s.SnapshotId), aws.ToString(s.StateMessage))
}

// fill puts the blocks and completes the snapshot. One that was completed before is past that.
func (u *upload) fill(ctx context.Context, blocks []disk.Block) error {
	u.task.Note("sending %d of %d blocks of %s to %s", len(blocks), u.manifest.Stored()/disk.BlockSize, bake.Size(disk.BlockSize), u.entry.Snapshot)
	s := &sender{store: u.c.Store, client: target.EBS(u.at), snapshot: u.entry.Snapshot, settled: u.settled, progress: u.task.Progress}
	err := s.send(ctx, blocks)
	if err == nil {
		err = u.settled(ctx, func() error { return completeSnapshot(ctx, target.EBS(u.at), u.entry.Snapshot, blocks) })
	}
	switch {
	case says(err, "already completed"):
		return nil
	case notThere(err):
		return fmt.Errorf("%w: %s does not exist any more: %w", errSpoilt, u.entry.Snapshot, err)
	}
	return err
}

// wait looks at the snapshot until it has come to its end.
func (u *upload) wait(ctx context.Context) error {
	id, began := u.entry.Snapshot, u.c.Clock.Now()
	for {
		s, err := u.snapshot(ctx, u.at, id)
		if err != nil {
			return err
		}
		if s != nil && s.State == ec2types.SnapshotStateCompleted {
			return nil
		}
		if s != nil && s.State == ec2types.SnapshotStateError {
			return spoilt(*s)
		}
		waited := u.c.Clock.Now().Sub(began)
		if s == nil && waited > settleTime {
			return fmt.Errorf("%w: %s was deleted", errSpoilt, id)
		}
		if waited > completeTime {
			return fmt.Errorf("%s is not complete after %s: run again to go on waiting", id, waited)
		}
		if err := u.c.Clock.Sleep(ctx, pollEvery(waited)); err != nil {
			return err
		}
	}
}
