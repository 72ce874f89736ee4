package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
)

// An image that passed is published where its template says, and one that did not is not.
func TestBuildPublishes(t *testing.T) {
	k := newKitchen(t)
	k.templates[1].Publish.Targets = []string{"eu", "us"}
	var asked []string
	publishing := func(b *building) {
		b.publish = func(_ context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
			asked = append(asked, fmt.Sprint(img.Name, targets))
			return map[string]bake.Artifact{"us": {AMI: "ami-2", Region: "us-east-1"}, "eu": {AMI: "ami-1", Region: "eu-west-1"}}, nil
		}
	}
	results, err := k.build(t, publishing)
	if err != nil || len(asked) != 1 || asked[0] != "web[eu us]" || len(results[1].Artifacts) != 2 || len(results[0].Artifacts) != 0 {
		t.Fatalf("asked %q, got %+v, %v", asked, results[1], err)
	}
	var b strings.Builder
	if err := results[1].writeArtifacts(newConsole(streams{out: &b}), false); err != nil || b.String() != "web in eu: ami-1 eu-west-1\nweb in us: ami-2 us-east-1\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	k.content["web"], k.guilty["web"], asked = "2", true, nil
	if _, err := k.build(t, publishing); !errors.Is(err, errTest) || len(asked) != 0 {
		t.Errorf("asked %q, %v", asked, err)
	}
}

func TestBuildSaysWhyItCouldNotPublish(t *testing.T) {
	k := newKitchen(t)
	k.templates[1].Publish.Targets = []string{"eu"}
	gone := errors.New("no network")
	results, err := k.build(t, func(b *building) {
		b.publish = func(context.Context, bake.Image, []string) (map[string]bake.Artifact, error) { return nil, gone }
	})
	if !errors.Is(err, gone) || results[1].Error == "" || k.candidate(t, "web") == "" {
		t.Errorf("got %+v, %v", results[1], err)
	}
}
