// Package ec2 makes images exist as AMIs: it writes the blocks of a disk into a snapshot by EBS direct, registers it, copies the image to
// other regions and lets other accounts launch it. No instance is started for any of it.
//
// Only blocks that differ from the nearest snapshot that the account has already are sent. Everything is found again by its name, its tags and
// the catalog, so that publishing twice makes nothing, and what a process that was killed has begun is finished by the next one.
package ec2

import (
	"context"
	"errors"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/internal/pause"
)

var (
	// ErrTaken is wrapped when the name of the AMI belongs to one with another content, which is left alone.
	ErrTaken = errors.New("name is taken")
	// ErrQuota is wrapped when the account may not have more of something.
	ErrQuota = errors.New("quota is reached")
)

// Config is what a publisher works with.
type Config struct {
	Targets *target.Set
	Store   *disk.Store     // holds the disks
	Catalog catalog.Catalog // gets a record of each artifact, and of what is under way
	Clock   Clock           // default: the host's
	Report  bake.Reporter   // default: nobody
}

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	// Sleep waits, or returns the reason why ctx ended before.
	Sleep(ctx context.Context, d time.Duration) error
}

// Publisher makes images exist in targets. It is safe for concurrent use.
type Publisher struct {
	c         Config
	artifacts bake.Artifacts
}

// New returns a publisher.
func New(c Config) *Publisher {
	if c.Clock == nil {
		c.Clock = hostClock{}
	}
	if c.Report == nil {
		c.Report = bake.Discard()
	}
	return &Publisher{c: c, artifacts: bake.NewArtifacts(c.Catalog)}
}

// Publish makes img exist in every target, and returns where, by the target's name. What exists already stays as it is. t says how the image is
// to be registered: the firmware that it was tested with, and its publish section.
//
// Among targets with the same endpoint the account and region of the first one get the upload; other regions of that account get a copy, and
// other accounts the permission to launch. When Publish returns without error, each target has seen with its own credentials that the image is
// available. It may be called again after any error, and after the process was killed; it then finishes what there is. A snapshot that was not
// complete when it failed is deleted, for nobody can tell which blocks it has got; one that was complete is kept for the next call.
//
// The error wraps [bake.ErrRefused] where waiting will not help, with [ErrTaken] for a name that belongs to another disk, and [ErrQuota]
// where an account's quota is reached; and [disk.ErrNotFound] where the store has lost the disk.
func (p *Publisher) Publish(ctx context.Context, img bake.Image, t bake.Template, targets []string) (map[string]bake.Artifact, error) {
	return p.publish(ctx, img, t, unique(targets))
}

// Find returns where img exists and can be launched, by the target's name: targets without it are missing. It makes and changes nothing.
func (p *Publisher) Find(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	return p.find(ctx, img, unique(targets))
}

// hostClock is this machine's.
type hostClock struct{}

// Now implements [Clock].
func (hostClock) Now() time.Time { return time.Now() }

// Sleep implements [Clock].
func (hostClock) Sleep(ctx context.Context, d time.Duration) error { return pause.For(ctx, d) }
