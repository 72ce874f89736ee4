package ec2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/ec2/target"
)

// releaseTime bounds what is done after a failure to leave nothing behind.
const releaseTime = time.Minute

// release leaves nothing behind that is of no use to the next call, whatever has happened to ctx.
func (u *upload) release(ctx context.Context, why error) error {
	if !u.entry.known() {
		return nil
	}
	if u.sealed && !errors.Is(why, errSpoilt) {
		u.task.Note("snapshot %s has all its blocks and stays for the next try", u.entry.Snapshot)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	u.entry.Drop = true
	if err := u.entry.save(ctx); err != nil {
		return err
	}
	if id := u.entry.Snapshot; id != "" {
		u.task.Note("deleting the unfinished snapshot %s: nobody can tell which blocks it has got", id)
	}
	return u.drop(ctx)
}

// drop deletes what the intent led to, and then the intent. Where no answer told what that was, the same token does.
func (u *upload) drop(ctx context.Context) error {
	if u.entry.Snapshot == "" && u.asked {
		if out, err := u.start(ctx); err == nil {
			u.entry.Snapshot = aws.ToString(out.SnapshotId)
		}
	}
	u.asked = false
	if err := u.deleteMade(ctx, u.at, u.entry, ""); err != nil {
		return err
	}
	return u.entry.remove(ctx)
}

// deleteMade deletes the snapshots that an intent led to, but not the one to keep. One whose id did not come back is found by its tag, and so
// is a second one: AWS does not say how long it remembers tokens.
func (p *Publisher) deleteMade(ctx context.Context, at *target.Target, e *entry, keep string) error {
	ids := map[string]string{}
	if e.Snapshot != "" {
		ids[e.Snapshot] = ""
	}
	if e.Snapshot == "" || e.old {
		made, err := p.ownSnapshots(ctx, at, ec2types.Filter{Name: aws.String("tag:" + tagRun), Values: []string{e.Run}})
		if err != nil {
			return inPlace(at, err)
		}
		for _, s := range made {
			ids[aws.ToString(s.SnapshotId)] = ""
		}
	}
	delete(ids, keep)
	for id := range sorted(ids) {
		if err := p.deleteSnapshot(ctx, at, id); err != nil {
			return err
		}
	}
	return nil
}

func (p *Publisher) deleteSnapshot(ctx context.Context, at *target.Target, id string) error {
	_, err := target.EC2(at).DeleteSnapshot(ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id})
	if err != nil && !notThere(err) {
		return fmt.Errorf("delete snapshot %s in %s: %w", id, place(at), err)
	}
	return nil
}
