package promote_test

import (
	"errors"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

func (w world) approve(t *testing.T, img bake.Image, ch promote.Channel, by string, after time.Duration) {
	t.Helper()
	a := promote.Approval{Channel: ch, By: by, At: at.Add(after)}
	if err := promote.NewApprovals(w.catalog).Record(t.Context(), img, a); err != nil {
		t.Fatal(err)
	}
}

func TestApprovalsGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	w.judge(t, 2, test.Pass)
	img := w.image(t, 1)
	rule := promote.Rule{Channel: production, Approvals: 2}
	gate := func() promote.Gate {
		gates := w.check(t, img, rule, at)
		return gates[len(gates)-1]
	}
	w.approve(t, img, staging, "bob", 0)              // another channel
	w.approve(t, w.image(t, 2), production, "bob", 0) // another image
	if g := gate(); g.Open || g.Detail != "0 of 2 approvals" {
		t.Errorf("%+v", g)
	}
	w.approve(t, img, production, "bob", 0)
	w.approve(t, img, production, "Bob", time.Hour) // the same person
	if g := gate(); g.Open || g.Detail != "1 of 2 approvals, by bob" {
		t.Errorf("%+v", g)
	}
	w.approve(t, img, production, "eve", 0)
	if g := gate(); !g.Open || g.Detail != "2 of 2 approvals, by bob, eve" {
		t.Errorf("%+v", g)
	}
}

// Approvals lapse when the image, or one that it comes from, is revoked, also where that is taken back.
func TestApprovalsLapse(t *testing.T) {
	t.Parallel()
	for _, revoked := range []int{1, 2} {
		w := newWorld(t)
		w.judge(t, 1, test.Pass)
		img := w.child(t, 2, 1)
		approvals := promote.NewApprovals(w.catalog)
		w.approve(t, img, production, "bob", -time.Hour)
		w.revoke(t, web(revoked), "bad", false)
		if err := approvals.Record(t.Context(), img, promote.Approval{Channel: production, By: "eve", At: at.Add(time.Minute)}); !errors.Is(err, bake.ErrRefused) {
			t.Errorf("a revoked image is approved: %v", err)
		}
		w.revoke(t, web(revoked), "it was another one", true)
		if list, err := approvals.Of(t.Context(), img, production); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v: want none", list, err)
		}
		w.approve(t, img, production, "bob", time.Hour)
		if list, err := approvals.Of(t.Context(), img, production); err != nil || len(list) != 1 || list[0].Disk != img.Disk {
			t.Errorf("%+v, %v: want that of bob", list, err)
		}
	}
}

func TestApprovalByAuthor(t *testing.T) {
	t.Parallel()
	img := bake.Image{By: "ci-bot", Author: "Ada L. <ada@example.com>"}
	github := bake.Image{Author: "Ada <1234+ada-l@users.noreply.github.com>"}
	nobody := bake.Image{}
	for _, c := range []struct {
		img       bake.Image
		by, email string
		want      bool
	}{
		{img, "ci-bot", "", true},
		{img, "CI-Bot", "", true},
		{img, "Ada L.", "", true},
		{img, "x", "ADA@example.com", true},
		{img, "ada@example.com", "", true},
		{img, "ada", "", false},
		{img, "bob", "bob@example.com", false},
		{github, "ada-l", "", true},
		{github, "1234", "", false},
		{github, "ada", "", true}, // the name in the commit
		{nobody, "", "", false},
		{bake.Image{Author: "Ada"}, "ada", "", true},
	} {
		if have := (promote.Approval{By: c.by, Email: c.email}).ByAuthor(c.img); have != c.want {
			t.Errorf("%q, %q of an image by %q, %q: %v", c.by, c.email, c.img.By, c.img.Author, have)
		}
	}
}

func TestApprovalOfTheAuthorDoesNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	img := w.image(t, 1)
	img.By = "ada"
	w.approve(t, img, production, "ada", 0)
	for _, c := range []struct {
		notAuthor bool
		open      bool
		detail    string
	}{
		{false, true, "1 of 1 approvals, by ada"},
		{true, false, "0 of 1 approvals; that of ada, who made it, does not count"},
	} {
		gates := w.check(t, img, promote.Rule{Channel: production, Approvals: 1, NotAuthor: c.notAuthor}, at)
		if g := gates[len(gates)-1]; g.Open != c.open || g.Detail != c.detail {
			t.Errorf("%+v: want %+v", g, c)
		}
	}
}
