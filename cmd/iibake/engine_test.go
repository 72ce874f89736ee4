package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
)

// A command fails for the cloud on this machine only where it needs it.
func TestTargetsWithoutLocalCloud(t *testing.T) {
	t.Setenv("IIBAKE_LOCAL_STATE", t.TempDir())
	p := &template.Project{Targets: map[string]template.Target{"here": {Endpoint: "local"}, "eu": {Region: "eu-west-1"}}}
	targets := openTargets(contextWith(t, "text"), p)
	if err := targets.need("eu"); err != nil {
		t.Errorf("AWS: %v", err)
	}
	err := targets.need("eu", "here")
	if !errors.Is(err, bake.ErrNotFound) || len(hints(err)) != 1 || !strings.Contains(err.Error(), "target here") {
		t.Errorf("got %v, hints %q", err, hints(err))
	}
	if _, again := targets.get(t.Context(), "here"); again == nil || again.Error() != err.Error() {
		t.Errorf("got %v", again)
	}
	if _, err := targets.get(t.Context(), "us"); !errors.Is(err, bake.ErrNotFound) || len(hints(err)) != 1 {
		t.Errorf("got %v, hints %q", err, hints(err))
	}
}

func TestPublisherWantsTemplateAndTargets(t *testing.T) {
	down := errors.New("down")
	p := publisher{targets: targets{absent: map[string]error{"here": down}}}
	img := bake.Image{Ref: bake.Ref{Name: "web", Version: "1"}}
	if _, err := p.Publish(t.Context(), img, []string{"here"}); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Find(t.Context(), img, []string{"here"}); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Publish(t.Context(), img, []string{"eu"}); !errors.Is(err, bake.ErrNotFound) || !strings.Contains(err.Error(), "template web") {
		t.Errorf("got %v", err)
	}
}

func TestTargetHints(t *testing.T) {
	for want, err := range map[string]error{
		"iam-policy": target.ErrDenied, "get-caller-identity": target.ErrCredentials, "endpoint": target.ErrNetwork, "wait": target.ErrThrottled,
	} {
		if got := hints(withTargetHint(fmt.Errorf("x: %w", err))); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%v: got %q", err, got)
		}
	}
	if withTargetHint(nil) != nil || len(hints(withTargetHint(target.ErrClock))) != 0 {
		t.Error("a hint for nothing")
	}
}

// What is published meanwhile is known, and what somebody else made stays unknown.
func TestAMIs(t *testing.T) {
	c, err := catalog.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	known := &amis{artifacts: bake.NewArtifacts(c)}
	if got, err := known.image(t.Context(), "ami-handmade"); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	ref := bake.Ref{Name: "web", Version: "1"}
	if err := known.artifacts.Record(t.Context(), bake.Artifact{Image: ref, Account: "1", Region: "eu-west-1", AMI: "ami-1"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := known.image(t.Context(), "ami-1"); err != nil || got == nil || *got != ref {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

// deaf is a catalog that does not answer for a while.
type deaf struct {
	catalog.Catalog

	err error
}

func (d *deaf) List(ctx context.Context, prefix string) ([]string, error) {
	if d.err != nil {
		return nil, d.err
	}
	return d.Catalog.List(ctx, prefix)
}

// That an AMI was not made by iibake goes on record as what a fleet goes back to: it must not be said because the catalog was out of reach.
func TestAMIsOfACatalogThatDoesNotAnswer(t *testing.T) {
	dir, err := catalog.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &deaf{Catalog: dir, err: errors.New("no route to host")}
	known := &amis{artifacts: bake.NewArtifacts(c)}
	if got, err := known.image(t.Context(), "ami-1"); !errors.Is(err, c.err) || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
	c.err = nil
	if got, err := known.image(t.Context(), "ami-1"); got != nil || err != nil {
		t.Errorf("afterwards: got %v, %v", got, err)
	}
}

// The command of a probe stands in the repository, wherever iibake is called.
func TestProbeIsRunInTheRepository(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "probe.sh"), []byte("#!/bin/sh\ntest \"$IIBAKE_FLEET\" = web && test \"$1\" = well\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context, word string) error {
		return probeIn(dir)(ctx, promote.Member{Name: "web"}, promote.Probe{Command: []string{"./probe.sh", word}})
	}
	if err := ask(t.Context(), "well"); err != nil {
		t.Error(err)
	}
	if err := ask(t.Context(), "ill"); err == nil {
		t.Error("a fleet that is ill is well")
	}
}

func TestDriver(t *testing.T) {
	a, b := driver(), driver()
	if a == b || !strings.Contains(a, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("got %q and %q", a, b)
	}
}

func TestSplitPlace(t *testing.T) {
	for what, want := range map[string]bool{"web@production": true, "web": false, "@x": false, "web@": false} {
		if name, ch, ok := splitPlace(what); ok != want || ok && (name != "web" || ch != "production") {
			t.Errorf("%s: got %s, %s, %t", what, name, ch, ok)
		}
	}
}

// Only what was begun can be carried on.
func TestNextAfterAnError(t *testing.T) {
	broken := errors.New("disk is full")
	for number, want := range []string{"", "what AWS was told goes on: iibake promote --resume web@production carries it on"} {
		p := promote.Promotion{Channel: "production", Number: number, To: bake.Ref{Name: "web", Version: "1"}}
		err := (&engine{}).withNext(p, promote.Outcome{}, broken)
		if got := strings.Join(hints(err), "; "); !errors.Is(err, broken) || (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("promotion %d: %v: hints %q", number, err, got)
		}
	}
}
