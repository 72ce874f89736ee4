package image_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// entry is an image as it should be.
type entry struct {
	id, name, snapshot string
	shared, public     bool
	disabled, gone     bool
	protected, cooling bool
	cooldown           time.Time
}

// album is images and the snapshots that they are made of.
type album struct {
	*cloud
	rt        *rapid.T
	prefix    string
	snapshots map[string]bool // whether it is there
	images    []*entry
}

// Whatever an owner does to images and snapshots: names are taken once, what is in use stays, and everybody sees what is theirs to see.
func TestImagesAndSnapshotsByAModel(t *testing.T) {
	c := newCloud(t)
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		a := &album{cloud: c, rt: rt, prefix: fmt.Sprintf("run-%d-", runs), snapshots: map[string]bool{}}
		for i := range 2 {
			a.snapshots[a.copyOfRoot(runs*2+i)] = true
		}
		acts := map[string]func(){
			"register": a.add, "deregister": a.deregister, "share": a.permit, "disable": a.disable, "protect": a.protect, "delete snapshot": a.deleteSnapshot,
			"later": func() { c.clock.Advance(time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour) },
		}
		for range rapid.IntRange(1, 14).Draw(rt, "steps") {
			acts[rapid.SampledFrom([]string{"register", "register", "register", "deregister", "deregister", "share", "disable", "protect", "delete snapshot", "later"}).Draw(rt, "act")]()
		}
		a.compare()
	})
}

// copyOfRoot records another snapshot of the same blocks.
func (c *cloud) copyOfRoot(n int) string {
	id := fmt.Sprintf("snap-%017x", n+0xabc0)
	_ = c.store.Update(ireland, func(r *state.Region) error {
		snap := *r.Snapshots.Get(c.root)
		snap.SnapshotId = &id
		r.Snapshots.Put(id, &snap)
		return nil
	})
	return id
}

// failure returns the code and the message of an error, and nothing of none.
func failure(err error) (code, message string) {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode(), e.ErrorMessage()
	} else if err != nil {
		return "no answer", err.Error()
	}
	return "", ""
}

// expect checks the code of an error, and the message where one is wanted.
func (a *album) expect(err error, code, message string) {
	a.t.Helper()
	if c, m := failure(err); c != code || message != "" && m != message {
		a.rt.Fatalf("got %v, want %s: %s", err, code, message)
	}
}

func (a *album) snapshotID() string {
	ids := make([]string, 0, len(a.snapshots))
	for id := range a.snapshots {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return rapid.SampledFrom(ids).Draw(a.rt, "snapshot")
}

func (a *album) add() {
	name, snapshot := a.prefix+rapid.SampledFrom([]string{"a", "b", "c"}).Draw(a.rt, "name"), a.snapshotID()
	out, err := a.ec2(owner, ireland).RegisterImage(a.t.Context(), registerInput(name, snapshot))
	if !a.snapshots[snapshot] {
		a.expect(err, "InvalidSnapshotID.NotFound", "The snapshot ID '"+snapshot+"' does not exist")
		return
	}
	for _, e := range a.images {
		if e.name == name && !e.gone {
			a.expect(err, "InvalidAMIName.Duplicate", "AMI name "+name+" is already in use by AMI "+e.id)
			return
		}
	}
	a.expect(err, "", "")
	a.images = append(a.images, &entry{id: *out.ImageId, name: name, snapshot: snapshot})
}

// some draws an image, also one that is gone.
func (a *album) some() *entry {
	if len(a.images) == 0 {
		return nil
	}
	return a.images[rapid.IntRange(0, len(a.images)-1).Draw(a.rt, "image")]
}

// users returns the registered images of a snapshot.
func (a *album) users(snapshot string) []string {
	var ids []string
	for _, e := range a.images {
		if e.snapshot == snapshot && !e.gone {
			ids = append(ids, e.id)
		}
	}
	return ids
}

func (a *album) deregister() {
	e, with := a.some(), rapid.Bool().Draw(a.rt, "with snapshots")
	if e == nil {
		return
	}
	out, err := a.ec2(owner, ireland).DeregisterImage(a.t.Context(), &ec2.DeregisterImageInput{ImageId: &e.id, DeleteAssociatedSnapshots: &with})
	switch {
	case e.gone:
		a.expect(err, "InvalidAMIID.Unavailable", "The image ID '"+e.id+"' is no longer available")
		return
	case e.protected || a.clock.Now().Before(e.cooldown):
		a.expect(err, "OperationNotPermitted", "")
		return
	}
	a.expect(err, "", "")
	e.gone = true
	want := "[]"
	if with {
		want = "[" + e.snapshot + " success]"
		if len(a.users(e.snapshot)) > 0 {
			want = "[" + e.snapshot + " skipped]"
		} else {
			a.snapshots[e.snapshot] = false
		}
	}
	var got []string
	for _, r := range out.DeleteSnapshotResults {
		got = append(got, *r.SnapshotId+" "+string(r.ReturnCode))
	}
	if !*out.Return || out.DeleteSnapshotResults == nil || fmt.Sprint(got) != want {
		a.rt.Fatalf("%+v, want %s", out.DeleteSnapshotResults, want)
	}
}

func (a *album) deleteSnapshot() {
	id := a.snapshotID()
	_, err := a.ec2(owner, ireland).DeleteSnapshot(a.t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
	switch users := a.users(id); {
	case !a.snapshots[id]:
		a.expect(err, "InvalidSnapshot.NotFound", "The snapshot '"+id+"' does not exist.")
	case len(users) > 0:
		a.expect(err, "InvalidSnapshot.InUse", "")
		_, text := failure(err)
		_, text, _ = strings.Cut(text, "The snapshot "+id+" is currently in use by ")
		got := strings.Split(text, ", ")
		slices.Sort(got)
		slices.Sort(users)
		if !slices.Equal(got, users) {
			a.rt.Fatalf("in use by %v, want %v", got, users)
		}
	default:
		a.expect(err, "", "")
		a.snapshots[id] = false
	}
}

func (a *album) permit() {
	e, add, all := a.some(), rapid.Bool().Draw(a.rt, "add"), rapid.Bool().Draw(a.rt, "all")
	if e == nil {
		return
	}
	p := []ec2types.LaunchPermission{{UserId: aws.String(friend)}}
	if all {
		p[0] = ec2types.LaunchPermission{Group: ec2types.PermissionGroupAll}
	}
	change := &ec2types.LaunchPermissionModifications{Remove: p}
	if add {
		change = &ec2types.LaunchPermissionModifications{Add: p}
	}
	_, err := a.ec2(owner, ireland).ModifyImageAttribute(a.t.Context(), &ec2.ModifyImageAttributeInput{ImageId: &e.id, LaunchPermission: change})
	if e.gone || e.disabled {
		if e.gone && err == nil {
			a.rt.Fatal("shared what is gone")
		}
		if err != nil {
			return
		}
	}
	a.expect(err, "", "")
	if all {
		e.public = add
	} else {
		e.shared = add
	}
}

func (a *album) disable() {
	e, on := a.some(), rapid.Bool().Draw(a.rt, "disable")
	if e == nil {
		return
	}
	var err error
	if on {
		_, err = a.ec2(owner, ireland).DisableImage(a.t.Context(), &ec2.DisableImageInput{ImageId: &e.id})
	} else {
		_, err = a.ec2(owner, ireland).EnableImage(a.t.Context(), &ec2.EnableImageInput{ImageId: &e.id})
	}
	if e.gone {
		a.expect(err, "InvalidAMIID.Unavailable", "")
		return
	}
	a.expect(err, "", "")
	if e.disabled = on; on {
		e.shared, e.public = false, false
	}
}

func (a *album) protect() {
	e, on, cooldown := a.some(), rapid.Bool().Draw(a.rt, "protect"), rapid.Bool().Draw(a.rt, "cooldown")
	if e == nil || e.gone {
		return
	}
	client := a.ec2(owner, ireland)
	if on {
		_, err := client.EnableImageDeregistrationProtection(a.t.Context(), &ec2.EnableImageDeregistrationProtectionInput{ImageId: &e.id, WithCooldown: &cooldown})
		a.expect(err, "", "")
		e.protected, e.cooling, e.cooldown = true, cooldown, time.Time{}
		return
	}
	_, err := client.DisableImageDeregistrationProtection(a.t.Context(), &ec2.DisableImageDeregistrationProtectionInput{ImageId: &e.id})
	a.expect(err, "", "")
	if e.protected && e.cooling {
		e.cooldown = a.clock.Now().Add(24 * time.Hour)
	}
	e.protected, e.cooling = false, false
}

// compare holds what both accounts see against what they should see.
func (a *album) compare() {
	seenBy := func(account string, disabled bool) string {
		var all []string
		for _, img := range a.cloud.images(account, ireland, &ec2.DescribeImagesInput{IncludeDisabled: &disabled, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{a.prefix + "*"}}}}) {
			all = append(all, fmt.Sprintf("%s %s %v", *img.ImageId, img.State, *img.Public))
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	want := func(visible func(*entry) bool) string {
		var all []string
		for _, e := range a.images {
			if !e.gone && visible(e) {
				all = append(all, fmt.Sprintf("%s %s %v", e.id, map[bool]string{false: "available", true: "disabled"}[e.disabled], e.public))
			}
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	for _, test := range []struct {
		account  string
		disabled bool
		visible  func(*entry) bool
	}{
		{owner, true, func(*entry) bool { return true }},
		{owner, false, func(e *entry) bool { return !e.disabled }},
		{friend, true, func(e *entry) bool { return !e.disabled && (e.shared || e.public) }},
	} {
		if got, want := seenBy(test.account, test.disabled), want(test.visible); got != want {
			a.rt.Fatalf("%s, disabled %v, sees %s\nwant %s", test.account, test.disabled, got, want)
		}
	}
	for id, there := range a.snapshots {
		_, err := a.ec2(owner, ireland).DescribeSnapshots(a.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
		if there != (err == nil) {
			a.rt.Fatalf("%s is there: %v, %v", id, there, err)
		}
	}
}
