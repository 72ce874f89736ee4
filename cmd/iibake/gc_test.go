package main

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
)

// Disks stay that retain keeps, that a channel holds, and that a promotion is about to publish.
func TestLiveDisks(t *testing.T) {
	r, err := openDir(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	for n := range 5 {
		img := bake.Image{
			Ref: bake.Ref{Name: "web", Version: strconv.Itoa(n)}, Key: bake.DigestOf(nil), Disk: bake.DigestOf([]byte(strconv.Itoa(n))), Commit: "abc1234",
			Created: at.Add(time.Duration(n) * time.Hour),
		}
		if err := recordImage(t.Context(), r.catalog, img, nil, n == 1); err != nil {
			t.Fatal(err)
		}
	}
	p := promote.Promotion{Channel: "staging", To: bake.Ref{Name: "web", Version: "2"}, By: "ada", At: at, Proof: at}
	if _, _, err := promote.NewActives(r.catalog).Begin(t.Context(), p, "a process", at); err != nil {
		t.Fatal(err)
	}
	project := &template.Project{Images: []bake.Template{{Name: "web", Retain: bake.Retain{Last: 1}}}}
	live, err := r.live(t.Context(), project, at)
	var want []bake.Digest
	for _, kept := range []string{"1", "2", "4"} { // candidate, under way, the newest
		want = append(want, bake.DigestOf([]byte(kept)))
	}
	if err != nil || !slices.Equal(live, want) {
		t.Errorf("live are %v, %v: want %v", live, err, want)
	}
}
