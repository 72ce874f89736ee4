package ec2

import (
	"context"
	"fmt"
	"strings"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
)

// Sweep ends what publications of other processes have begun longer than olderThan ago and nobody has taken up since, in the accounts of
// the targets. An AMI that has come of it is put on record; of anything else the snapshots are deleted. It returns what it did, a line for
// each. Nobody may be publishing the same images meanwhile.
func (p *Publisher) Sweep(ctx context.Context, targets []string, olderThan time.Duration) ([]string, error) {
	opened, err := p.open(ctx, unique(targets))
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", target.Terse(err))
	}
	keys, err := p.c.Catalog.List(ctx, intentsPrefix)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", target.Terse(err))
	}
	done := make([]string, len(keys))
	err = together(keys, func(i int, key string) (err error) {
		done[i], err = p.sweep(ctx, opened, key, olderThan)
		return err
	})
	var lines []string
	for _, line := range done {
		if line != "" {
			lines = append(lines, line)
		}
	}
	if err != nil {
		err = fmt.Errorf("sweep: %w", target.Terse(err))
	}
	return lines, err
}

// Left returns what [Publisher.Sweep] would look at, a line for each: what publications have begun longer than olderThan ago and not ended, as it
// is on record. Nobody's account is asked.
func (p *Publisher) Left(ctx context.Context, olderThan time.Duration) ([]string, error) {
	keys, err := p.c.Catalog.List(ctx, intentsPrefix)
	if err != nil {
		return nil, fmt.Errorf("what publications left: %w", err)
	}
	var lines []string
	for _, key := range keys {
		e := &entry{c: p.c.Catalog, key: key}
		if err := e.load(ctx); err != nil {
			return nil, err
		}
		if age := p.c.Clock.Now().Sub(e.At); e.known() && age >= olderThan {
			lines = append(lines, fmt.Sprintf("%s in %s of account %s, begun %s", imageOf(key), e.Region, e.Account, e.At.Format(time.DateTime)))
		}
	}
	return lines, nil
}

// imageOf returns the image whose intent has a key.
func imageOf(key string) bake.Ref {
	name, rest, _ := strings.Cut(strings.TrimPrefix(key, intentsPrefix), "/")
	version, _, _ := strings.Cut(rest, "/")
	return bake.Ref{Name: name, Version: version}
}

// sweep ends one intent.
func (p *Publisher) sweep(ctx context.Context, opened []*target.Target, key string, olderThan time.Duration) (string, error) {
	e := &entry{c: p.c.Catalog, key: key, old: true}
	if err := e.load(ctx); err != nil || !e.known() || p.c.Clock.Now().Sub(e.At) < olderThan {
		return "", err
	}
	var at *target.Target
	for _, t := range opened {
		if t.Endpoint == e.Endpoint && t.Account == e.Account {
			at = t.In(e.Region)
		}
	}
	j, err := p.jobOf(ctx, key)
	if at == nil || err != nil {
		return "", err
	}
	img, err := j.look(ctx, at, nil)
	if err != nil {
		return "", err
	}
	if img != nil && img.State != ec2types.ImageStateDisabled && !dead(img) && !launchable(img) {
		return "", nil // AWS is at it: there is nothing to put on record yet, nor to delete
	}
	if img != nil && !dead(img) {
		return fmt.Sprintf("%s is %s in %s", j.img.Ref, *img.ImageId, place(at)), j.settle(ctx, at, e, img)
	}
	run := e.Run
	if err := j.giveUp(ctx, at, e); err != nil {
		return "", err
	}
	return fmt.Sprintf("gave up %s in %s, which %s began", j.img.Ref, place(at), run), nil
}

// jobOf returns the job that an intent is of.
func (p *Publisher) jobOf(ctx context.Context, key string) (job, error) {
	img, err := bake.NewImages(p.c.Catalog).Get(ctx, imageOf(key))
	return job{Publisher: p, img: img}, err
}

// giveUp deletes what an intent led to.
func (j job) giveUp(ctx context.Context, at *target.Target, e *entry) error {
	u := &upload{job: j, at: at, entry: e, asked: true}
	var err error
	if u.manifest, err = j.c.Store.Manifest(ctx, j.img.Disk); err != nil {
		u.asked = false // what was asked for cannot be asked for again: its tag has to do
	}
	if e.Copy {
		return e.remove(ctx)
	}
	return u.drop(ctx)
}
