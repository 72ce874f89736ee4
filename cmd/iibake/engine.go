package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg"
	"github.com/iibake/iibake/promote/asg/alias"
)

// engine is what moves images into channels, and fleets with them: a project's catalog, its targets and the promoter between them.
type engine struct {
	*record

	project  *template.Project
	store    *disk.Store
	targets  targets
	rep      ui.Reporter
	follow   *follower
	publish  publisher
	promoter *promote.Promoter
}

// pollFlag says how often fleets are looked at.
func pollFlag() cli.Flag {
	return &cli.DurationFlag{Name: "poll", Value: 5 * time.Second, Usage: "look at the fleets every `TIME`"}
}

// openEngine makes the engine of the project that the command is used in. It must be closed.
func openEngine(con *console, c *cli.Context) (*engine, error) {
	p, broken, err := loadFleets(c)
	if err != nil {
		return nil, err
	}
	r, err := recordOf(c, p)
	if err != nil {
		return nil, err
	}
	store, err := r.store()
	if err != nil {
		return nil, err
	}
	rep, err := con.reporter(p.Dir)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if broken != nil {
		rep.Report(bake.Event{Time: time.Now().UTC(), Kind: bake.EventWarn, Text: "templates are broken, which does not matter here: iibake check says how"})
	}
	e := &engine{record: r, project: p, store: store, targets: openTargets(c, p), rep: rep, follow: newFollower(rep)}
	e.publish = newPublisher(r, store, p, e.targets, rep)
	e.promoter = promote.New(promote.Config{
		Catalog: r.catalog, Rules: rulesOf(p), Fleet: e.fleets(), Publisher: e.publish, Probe: probeIn(p.Dir),
		Alias:  alias.New(alias.Config{Target: e.targets.get, Clock: promote.SystemClock{}}),
		Report: e.follow.take, Driver: driver(), Poll: c.Duration("poll"),
	})
	return e, nil
}

// Close ends the progress and lets go of the store. It may be called again.
func (e *engine) Close() {
	e.rep.Close()
	_ = e.store.Close()
}

// fleets returns what makes the fleets of the project.
func (e *engine) fleets() func(context.Context, promote.Member) (promote.Fleet, error) {
	known := &amis{artifacts: bake.NewArtifacts(e.catalog)}
	return func(ctx context.Context, m promote.Member) (promote.Fleet, error) {
		t, err := e.targets.get(ctx, m.Target)
		if err != nil {
			return nil, err
		}
		return asg.New(t, m, known.image), nil
	}
}

// probeIn returns what makes one try of a probe. A command is run in the repository.
func probeIn(dir string) func(context.Context, promote.Member, promote.Probe) error {
	return func(ctx context.Context, m promote.Member, p promote.Probe) error {
		if len(p.Command) > 0 && strings.Contains(p.Command[0], "/") && !filepath.IsAbs(p.Command[0]) {
			p.Command = append([]string{filepath.Join(dir, p.Command[0])}, p.Command[1:]...)
		}
		return p.Ask(ctx, m)
	}
}

// driver names this process for other processes and for people.
func driver() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a host without a name"
	}
	return fmt.Sprintf("%s on %s, process %d, %s", actor(os.Getenv), host, os.Getpid(), rand.Text()[:6])
}

// amis knows which image an AMI is, as far as it is on record. It is safe for concurrent use.
type amis struct {
	artifacts bake.Artifacts

	mu     sync.Mutex
	images map[string]*bake.Ref // nil for an AMI that iibake did not make
}

// image returns the image that an AMI is, or nil for one that iibake did not make. The record is read again for an AMI that nobody asked
// for before: it may be new. Where it cannot be read, nobody knows, and that is no answer: what a fleet goes back to is put on record.
func (a *amis) image(ctx context.Context, ami string) (*bake.Ref, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ref, ok := a.images[ami]; ok {
		return ref, nil
	}
	all, err := a.artifacts.Images(ctx)
	if err != nil {
		return nil, fmt.Errorf("which image %s is: %w", ami, err)
	}
	if a.images == nil {
		a.images = map[string]*bake.Ref{}
	}
	for id, ref := range all {
		a.images[id] = &ref
	}
	if _, ok := a.images[ami]; !ok {
		a.images[ami] = nil
	}
	return a.images[ami], nil
}

// publisher makes images exist as their templates say. It is a [promote.Publisher].
type publisher struct {
	inner   *ec2.Publisher
	targets targets
	images  []bake.Template
}

func newPublisher(r *record, store *disk.Store, p *template.Project, t targets, rep bake.Reporter) publisher {
	return publisher{ec2.New(ec2.Config{Targets: t.set, Store: store, Catalog: r.catalog, Report: rep}), t, p.Images}
}

// Publish makes img usable in every target.
func (p publisher) Publish(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	if err := p.targets.need(targets...); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.images, func(t bake.Template) bool { return t.Name == img.Name })
	if i < 0 {
		return nil, withHint(notFound("template "+img.Name), "an image is published as its template says: bring the template back")
	}
	found, err := p.inner.Publish(ctx, img, p.images[i], targets)
	return found, withTargetHint(err)
}

// Find returns what exists of img and is usable.
func (p publisher) Find(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	if err := p.targets.need(targets...); err != nil {
		return nil, err
	}
	found, err := p.inner.Find(ctx, img, targets)
	return found, withTargetHint(err)
}
