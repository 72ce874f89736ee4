package bake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
)

func TestRetainKeep(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	var images []bake.Image // v0 is 40 days old, v4 is of today
	for i := range 5 {
		images = append(images, bake.Image{
			Ref: bake.Ref{Name: "web", Version: "v" + string(rune('0'+i))}, Created: now.Add(-time.Duration(4-i) * 10 * day),
		})
	}
	inChannel := func(r bake.Ref) bool { return r.Version == "v0" }
	for name, c := range map[string]struct {
		retain bake.Retain
		held   func(bake.Ref) bool
		want   string
	}{
		"nothing said keeps all":          {bake.Retain{}, func(bake.Ref) bool { return false }, "v0 v1 v2 v3 v4"},
		"last":                            {bake.Retain{Last: 2}, func(bake.Ref) bool { return false }, "v3 v4"},
		"for":                             {bake.Retain{For: bake.Duration(25 * day)}, func(bake.Ref) bool { return false }, "v2 v3 v4"},
		"either speaks for it":            {bake.Retain{Last: 4, For: bake.Duration(day)}, func(bake.Ref) bool { return false }, "v1 v2 v3 v4"},
		"a channel holds it":              {bake.Retain{Last: 1}, inChannel, "v0 v4"},
		"the newest stays though too old": {bake.Retain{For: 1}, func(bake.Ref) bool { return false }, "v4"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, img := range c.retain.Keep(images, c.held, now.Add(time.Second)) {
				got = append(got, img.Version)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Fatalf("kept %s, want %s", s, c.want)
			}
		})
	}
}
