package main

import (
	"slices"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
)

// Channels stand in the order in which an image goes through them; those that the project knows no more stand behind.
func TestPipeline(t *testing.T) {
	p := &template.Project{Channels: map[string]template.Channel{
		"production": {After: "staging"}, "staging": {After: "candidate"}, "candidate": {}, "beta": {After: "staging"}, "lab": {},
		"round": {After: "about"}, "about": {After: "round"}, // which check refuses
	}}
	have := pipeline(p, "retired", "staging", "candidate", "old")
	want := []promote.Channel{"candidate", "lab", "staging", "beta", "production", "about", "round", "old", "retired"}
	if !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
	if have := pipeline(&template.Project{}, "b", "candidate", "a"); !slices.Equal(have, []promote.Channel{"candidate", "a", "b"}) {
		t.Errorf("without a project: %v", have)
	}
}

// The image that a fleet runs follows from the catalog where there is one alone that nothing was baked from.
func TestLeafImage(t *testing.T) {
	r, err := openDir(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base := bake.Ref{Name: "base", Version: "1"}
	for _, step := range []struct {
		img  bake.Image
		want string
	}{
		{bake.Image{Ref: base}, "base"},
		{bake.Image{Ref: bake.Ref{Name: "web", Version: "1"}, Parent: &base}, "web"},
		{bake.Image{Ref: bake.Ref{Name: "base", Version: "2"}}, "web"},
		{bake.Image{Ref: bake.Ref{Name: "web", Version: "2"}, Parent: &base}, "web"},
		{bake.Image{Ref: bake.Ref{Name: "db", Version: "1"}, Parent: &base}, ""},
	} {
		step.img.Key = bake.DigestOf(nil)
		if _, err := r.images.Record(t.Context(), step.img, nil); err != nil {
			t.Fatal(err)
		}
		if have, err := r.leafImage(t.Context()); err != nil || have != step.want {
			t.Errorf("with %s: %q, %v: want %q", step.img.Ref, have, err, step.want)
		}
	}
	if names, err := r.imageNames(t.Context()); err != nil || !slices.Equal(names, []string{"base", "db", "web"}) {
		t.Errorf("names %v, %v", names, err)
	}
}
