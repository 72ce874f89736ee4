package promote

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/iibake/iibake/bake"
)

// DrillRequest asks whether a fleet could go back.
type DrillRequest struct {
	Channel Channel
	Fleet   Member
	By      string
	// Try boots an image as a machine and tests it, and returns an error where it does not pass. nil: it is not tried.
	Try func(ctx context.Context, img bake.Image) error
}

// Drill is the record of a rehearsal.
type Drill struct {
	Fleet     string        `json:"fleet"`
	Channel   Channel       `json:"channel"`
	Image     *bake.Ref     `json:"image,omitempty"` // that the fleet would go back to; nil for one that iibake did not make
	Moves     []Move        `json:"moves,omitempty"` // it would go from To to From
	Preflight Preflight     `json:"preflight"`
	Tried     bool          `json:"tried,omitempty"`    // the image was booted and tested
	Took      bake.Duration `json:"took,omitempty"`     // booting and testing
	Failures  []string      `json:"failures,omitempty"` // why the way back would not work
	Notes     []string      `json:"notes,omitempty"`
	By        string        `json:"by"`
	At        time.Time     `json:"at"`
}

// Passed reports whether the fleet could go back. How long that would take is Preflight.Estimate.
func (d Drill) Passed() bool { return len(d.Failures) == 0 }

const drillsPrefix = "drills/" // FLEET/N → Drill

// Drill finds out whether a fleet could go back to what it ran before, without touching it, and puts the answer on record. The
// error is for what kept it from finding out; it wraps [bake.ErrNotFound] where there is nothing to go back to, and [catalog.ErrMoved] where
// a promotion is under way in the channel.
func (p *Promoter) Drill(ctx context.Context, r DrillRequest) (Drill, error) {
	m := r.Fleet
	fail := func(err error) (Drill, error) { return Drill{}, fmt.Errorf("drill of %s: %w", m.Name, err) }
	if err := p.free(ctx, m.Image, r.Channel); err != nil { // what speaks against the way back now is the promotion's doing
		return fail(err)
	}
	to, err := p.before(ctx, RollbackRequest{Name: m.Image, Channel: r.Channel, Fleets: []string{m.Name}})
	if err != nil {
		return fail(err)
	}
	d := Drill{Fleet: m.Name, Channel: r.Channel, By: r.By, At: p.c.Clock.Now().UTC()}
	if to.Version != "" {
		d.Image = &to
	}
	ways, err := p.ways(ctx, m.Image, d.Channel, math.MaxInt, d.Image, []string{m.Name})
	if err != nil {
		return fail(err)
	}
	d.Image, d.Moves = orWhat(d.Image, ways[m.Name].to), ways[m.Name].moves
	var img bake.Image
	if d.Image != nil {
		if img, err = bake.NewImages(p.c.Catalog).Get(ctx, *d.Image); err != nil {
			return fail(err)
		}
	}
	if err := p.drillFleet(ctx, &d, m, img); err != nil {
		return fail(err)
	}
	if err := p.drillImage(ctx, &d, img, r.Try); err != nil {
		return fail(err)
	}
	if err := recordAppend(ctx, p.c.Catalog, drillsPrefix+m.Name+"/", func(int) any { return d }); err != nil {
		return fail(err)
	}
	return d, nil
}

// drillFleet asks the fleet whether what it would go back to is there and can be launched.
func (p *Promoter) drillFleet(ctx context.Context, d *Drill, m Member, img bake.Image) error {
	q := Query{Image: img, Moves: d.Moves}
	if len(d.Moves) == 0 {
		d.Notes = append(d.Notes, "no launch template version with it was kept: a new one would be made")
		if d.Image == nil {
			d.Failures = append(d.Failures, "no record tells what it ran before iibake moved it")
			return nil
		}
		artifacts, err := p.c.Publisher.Find(ctx, img, []string{m.Target})
		if err != nil {
			return err
		}
		q.Artifact = artifacts[m.Target]
	}
	f, err := p.c.Fleet(ctx, m)
	if err != nil {
		return err
	}
	if d.Preflight, err = f.Preflight(ctx, q); err != nil {
		return err
	}
	d.Failures = append(d.Failures, d.Preflight.Refusals...)
	return nil
}

// drillImage holds the image against the gates of a rollback, and boots it.
func (p *Promoter) drillImage(ctx context.Context, d *Drill, img bake.Image, try func(context.Context, bake.Image) error) error {
	if d.Image == nil {
		if try != nil {
			d.Notes = append(d.Notes, "iibake did not make the image: it cannot be booted here")
		}
		return nil
	}
	shut, err := p.shut(ctx, img, d.Channel)
	if err != nil {
		return err
	}
	d.Failures = append(d.Failures, shut...)
	if try == nil {
		return nil
	}
	began := p.c.Clock.Now()
	err = try(ctx, img)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.Tried, d.Took = true, bake.Duration(p.c.Clock.Now().Sub(began))
	if err != nil {
		d.Failures = append(d.Failures, fmt.Sprintf("%s does not pass its tests: %v", img.Ref, err))
	}
	return nil
}

// Drills returns the rehearsals of a fleet, oldest first.
func (p *Promoter) Drills(ctx context.Context, fleet string) ([]Drill, error) {
	drills, err := recordList[Drill](ctx, p.c.Catalog, drillsPrefix+fleet+"/")
	if err != nil {
		return nil, fmt.Errorf("drills of %s: %w", fleet, err)
	}
	return drills, nil
}
