package promote_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

func (w world) revoke(t *testing.T, r bake.Ref, reason string, lifted bool) {
	t.Helper()
	said := promote.Revocation{Image: r, By: "eve", At: at, Reason: reason, Lifted: lifted}
	if err := promote.NewRevocations(w.catalog).Record(t.Context(), said); err != nil {
		t.Fatal(err)
	}
}

// child records a version that was baked from another one, and judges it.
func (w world) child(t *testing.T, version, parent int) bake.Image {
	t.Helper()
	from := web(parent)
	img := bake.Image{
		Ref: web(version), Parent: &from, Disk: bake.DigestOf(fmt.Append(nil, version)), Key: bake.DigestOf(nil), Commit: "abc1234",
		Created: at.Add(time.Duration(version) * time.Minute),
	}
	img, err := bake.NewImages(w.catalog).Record(t.Context(), img, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := test.Verdict{Image: img.Ref, Disk: img.Disk, At: at, Results: []test.Result{{Name: "ssh", Status: test.Pass}}}
	if err := w.verdicts.Record(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	return img
}

func refs(images []bake.Image) string {
	var all []string
	for _, img := range images {
		all = append(all, img.String())
	}
	return strings.Join(all, " ")
}

// A revoked image takes with it what was baked from it, and what will be.
func TestRevokeCoversDescendants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	w.judge(t, 9, test.Pass)
	w.child(t, 2, 1)
	w.child(t, 3, 2)
	w.child(t, 8, 9)
	w.revoke(t, web(1), "leaks a key", false)
	w.child(t, 4, 3) // baked later
	revocations := promote.NewRevocations(w.catalog)
	list, err := revocations.Descendants(t.Context(), web(1))
	if have := refs(list); err != nil || have != "web:2 web:3 web:4" {
		t.Errorf("descendants %s, %v", have, err)
	}
	for version, want := range map[int]string{
		1: "revoked: it was revoked by eve at 2026-11-22 03:00:00 UTC: leaks a key",
		2: "revoked: web:1, which it comes from, was revoked by eve at 2026-11-22 03:00:00 UTC: leaks a key",
		4: "revoked: web:1, which it comes from, was revoked by eve at 2026-11-22 03:00:00 UTC: leaks a key",
		8: "", 9: "",
	} {
		for _, rule := range []promote.Rule{{Channel: production}, {Channel: production, Back: true}, {Channel: promote.Candidate}} {
			if have := shut(w.check(t, w.image(t, version), rule, at)); have != want {
				t.Errorf("version %d, %+v: %q: want %q", version, rule, have, want)
			}
		}
	}
	if _, err := w.channels.Move(t.Context(), move(nil, web(4))); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("it becomes a candidate: %v", err)
	}
}

// The nearest revocation counts, and one that was taken back does not.
func TestRevocationThatIsLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	img := w.child(t, 2, 1)
	revocations := promote.NewRevocations(w.catalog)
	for i, step := range []struct {
		version int
		lifted  bool
		want    string // reason; empty where the image is not revoked
	}{
		{1, false, "0"},
		{2, false, "1"},
		{1, true, "1"},
		{2, true, ""},
		{1, false, "4"},
		{1, true, ""},
	} {
		w.revoke(t, web(step.version), strconv.Itoa(i), step.lifted)
		r, err := revocations.Of(t.Context(), img)
		if (err == nil) != (step.want != "") || r.Reason != step.want || err != nil && !errors.Is(err, bake.ErrNotFound) {
			t.Errorf("step %d: %+v, %v: want %q", i, r, err, step.want)
		}
	}
	if list, err := revocations.History(t.Context(), web(1)); err != nil || len(list) != 4 || !list[3].Lifted {
		t.Errorf("on record: %+v, %v", list, err)
	}
}

// An image whose parent is in another catalog has as much of a lineage as there is on record.
func TestRevocationWithoutTheParentsRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := w.child(t, 2, 77)
	if have := shut(w.check(t, img, promote.Rule{Channel: production}, at)); have != "" {
		t.Errorf("shut: %s", have)
	}
	w.revoke(t, web(77), "bad", false)
	if have := shut(w.check(t, img, promote.Rule{Channel: production}, at)); !strings.Contains(have, "web:77, which it comes from") {
		t.Errorf("open: %s", have)
	}
}
