package promote

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
)

// Request is what somebody wants of a channel. Which fleets follow it, and how, its [Rule] says.
type Request struct {
	Image   bake.Ref
	Channel Channel
	Fleets  []string // these alone, and the channel stays; empty: all fleets, and the channel
	Targets []string // where the image shall be published beside where its fleets are
	Keep    bool     // after a failure, fleets that moved stay where they are
	Pin     bool     // aliases of launch template versions become numbers
	By      string
	Reason  string
}

// Plan is what a promotion would do. Making it changes nothing.
type Plan struct {
	Promotion Promotion            `json:"promotion"`          // without a number
	Image     *bake.Image          `json:"image,omitempty"`    // that the channel shall hold; nil on the way back to what iibake did not make
	Before    *bake.Image          `json:"before,omitempty"`   // that the channel holds
	Verdict   time.Time            `json:"verdict,omitzero"`   // when the newest verdict on Image was given
	Packages  []bake.PackageChange `json:"packages,omitempty"` // from Before to Image
	Gates     []Gate               `json:"gates,omitempty"`
	Fleets    []FleetPlan          `json:"fleets,omitempty"`   // wave by wave
	Publish   []string             `json:"publish,omitempty"`  // targets where the image is not yet
	Estimate  bake.Duration        `json:"estimate,omitempty"` // of all waves with their soaks; publishing apart
	Refusals  []string             `json:"refusals,omitempty"` // of gates, fleets and the channel, each with what to do
	Notes     []string             `json:"notes,omitempty"`
	There     bool                 `json:"there,omitempty"`  // channel and fleets have the image already: there is nothing to do
	Aborts    *Active              `json:"aborts,omitempty"` // of a rollback: the promotion under way, which is taken over and goes back
	At        time.Time            `json:"at"`               // when everything had been looked at
}

// FleetPlan is what a promotion would do to one fleet. What the fleet goes back to stands in Current of its preflight.
type FleetPlan struct {
	Wave  int    `json:"wave"` // from 0
	Fleet Member `json:"fleet"`
	AMI   string `json:"ami,omitempty"`   // of the image where the fleet is; empty where it is not published yet
	Moves []Move `json:"moves,omitempty"` // of a rollback: launch template versions that were kept; the fleet goes from To to From
	Error string `json:"error,omitempty"` // what kept the preflight from looking; it is among the refusals
	Preflight
}

// Plan looks at everything that a promotion needs and changes nothing. What speaks against it stands in the plan's Refusals, all at
// once. The error is for what kept it from looking at the image or the catalog, and wraps [catalog.ErrMoved] where a promotion is under
// way in the channel.
func (p *Promoter) Plan(ctx context.Context, r Request) (Plan, error) {
	if err := p.free(ctx, r.Image.Name, r.Channel); err != nil {
		return Plan{}, err
	}
	rule, err := p.c.Rules(r.Image.Name, r.Channel)
	if err != nil {
		return Plan{}, err
	}
	waves, err := chosen(rule.Waves, r.Fleets)
	if err != nil {
		return Plan{}, err
	}
	if r.Keep {
		waves = staying(waves)
	}
	plan := Plan{At: p.c.Clock.Now().UTC()}
	plan.Promotion = Promotion{
		Channel: r.Channel, To: r.Image, By: r.By, At: plan.At, Reason: r.Reason, Waves: waves, Soak: rule.Soak,
		Only: len(r.Fleets) > 0, Keep: r.Keep, Pin: r.Pin, Targets: targetsOf(waves, r.Targets),
	}
	if err := p.fill(ctx, &plan, rule); err != nil || len(plan.Refusals) == 0 {
		return plan, err
	}
	if err := p.free(ctx, r.Image.Name, r.Channel); err != nil {
		return Plan{}, err // it began meanwhile, and what refuses are its refreshes
	}
	if err := NewChannels(p.c.Catalog).Holds(ctx, plan.Promotion); err != nil {
		return Plan{}, err // it began and ended meanwhile
	}
	return plan, nil
}

// free returns an error unless a promotion may begin in the channel.
func (p *Promoter) free(ctx context.Context, name string, ch Channel) error {
	a, err := NewActives(p.c.Catalog).Get(ctx, name, ch)
	if errors.Is(err, bake.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return NewActives(p.c.Catalog).busyUnlessOver(ctx, Promotion{Channel: ch, To: bake.Ref{Name: name}}, a)
}

// chosen returns the waves with the named fleets alone, in one wave where there are names.
func chosen(waves [][]Member, names []string) ([][]Member, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(waves), func(w []Member) bool { return len(w) == 0 }), nil
	}
	var picked [][]Member
	known := map[string]bool{}
	for _, wave := range waves {
		some := slices.DeleteFunc(slices.Clone(wave), func(m Member) bool { return !slices.Contains(names, m.Name) })
		if len(some) > 0 {
			picked = append(picked, some)
		}
		for _, m := range some {
			known[m.Name] = true
		}
	}
	for _, name := range names {
		if !known[name] {
			return nil, fmt.Errorf("fleet %s in the channel: %w", name, bake.ErrNotFound)
		}
	}
	return picked, nil
}

// staying returns the waves with fleets that AWS does not bring back by itself.
func staying(waves [][]Member) [][]Member {
	kept := make([][]Member, len(waves))
	for i, wave := range waves {
		kept[i] = slices.Clone(wave)
		for j := range kept[i] {
			kept[i][j].Strategy.AutoRollback = false
		}
	}
	return kept
}

func targetsOf(waves [][]Member, more []string) []string {
	targets := slices.Clone(more)
	for _, wave := range waves {
		for _, m := range wave {
			targets = append(targets, m.Target)
		}
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}

// fill looks at all that plan.Promotion is about.
func (p *Promoter) fill(ctx context.Context, plan *Plan, rule Rule) error {
	if err := p.fillImages(ctx, plan, rule); err != nil {
		return err
	}
	k := &kit{p: plan.Promotion}
	k.p.Number = math.MaxInt // after every promotion on record
	legs, err := p.legs(ctx, k, nil)
	if err != nil {
		return err
	}
	if k.artifacts, err = p.fillArtifacts(ctx, plan, legs); err != nil {
		return err
	}
	if err := p.fillFleets(ctx, plan, legs); err != nil {
		return err
	}
	if err := p.fillEarlier(ctx, plan, legs); err != nil {
		return err
	}
	plan.judge()
	plan.At = p.c.Clock.Now().UTC()
	return plan.foresee(rule)
}

// fillImages looks at the image that the channel shall hold, at the one that it holds, and at the gates between them.
func (p *Promoter) fillImages(ctx context.Context, plan *Plan, rule Rule) error {
	pro := &plan.Promotion
	images := bake.NewImages(p.c.Catalog)
	held, err := NewChannels(p.c.Catalog).Get(ctx, pro.To.Name, pro.Channel)
	switch {
	case err == nil:
		pro.From = &held
	case !errors.Is(err, bake.ErrNotFound):
		return err
	}
	if pro.From != nil {
		before, err := images.Get(ctx, held)
		if err != nil {
			return err
		}
		plan.Before = &before
	}
	if pro.To.Version == "" {
		return nil
	}
	img, err := images.Get(ctx, pro.To)
	if err != nil {
		return err
	}
	plan.Image = &img
	rule.Held = same(pro.From, &pro.To)
	if plan.Gates, err = NewGates(p.c.Catalog).Check(ctx, img, rule, plan.At); err != nil {
		return err
	}
	for _, g := range plan.Gates {
		if g.Name == "verdict" {
			plan.Verdict, pro.Proof = g.At, g.At
		}
	}
	return p.fillPackages(ctx, plan, images)
}

func (p *Promoter) fillPackages(ctx context.Context, plan *Plan, images bake.Images) error {
	if plan.Before == nil || plan.Before.Packages == "" || plan.Image.Packages == "" {
		return nil
	}
	before, err := images.Packages(ctx, *plan.Before)
	if err != nil {
		return err
	}
	after, err := images.Packages(ctx, *plan.Image)
	if err != nil {
		return err
	}
	plan.Packages = bake.DiffPackages(before, after)
	return nil
}

// fillArtifacts finds where the image is already. Fleets that go back to what they were launched from do not need to know.
func (p *Promoter) fillArtifacts(ctx context.Context, plan *Plan, legs []*leg) (map[string]bake.Artifact, error) {
	targets := plan.Promotion.Targets
	asks := func(l *leg) bool { return !l.home }
	if plan.Image == nil || len(targets) == 0 || plan.Promotion.Back && !slices.ContainsFunc(legs, asks) {
		return map[string]bake.Artifact{}, nil
	}
	artifacts, err := p.c.Publisher.Find(ctx, *plan.Image, targets)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if artifacts[t].AMI == "" {
			plan.Publish = append(plan.Publish, t)
		}
	}
	return artifacts, nil
}

// fillFleets looks at every fleet. What keeps it from looking at one is a refusal of that one.
func (p *Promoter) fillFleets(ctx context.Context, plan *Plan, legs []*leg) error {
	plan.Fleets = make([]FleetPlan, len(legs))
	var all errgroup.Group
	all.SetLimit(p.c.Workers)
	for i, l := range legs {
		q := Query{Artifact: l.artifacts[l.r.Fleet.Target], Pin: plan.Promotion.Pin}
		if plan.Image != nil {
			q.Image = *plan.Image
		}
		all.Go(func() error {
			plan.Fleets[i] = look(ctx, l, q)
			return ctx.Err()
		})
	}
	return all.Wait()
}

// fillEarlier holds the images that fleets had before the channel held anything against the gates: there is no one image for all of them.
func (p *Promoter) fillEarlier(ctx context.Context, plan *Plan, legs []*leg) error {
	if plan.Promotion.To.Version != "" {
		return nil
	}
	for i, l := range legs {
		if !l.home || l.r.From == nil {
			continue
		}
		img, err := bake.NewImages(p.c.Catalog).Get(ctx, *l.r.From)
		if err != nil {
			return err
		}
		shut, err := p.shut(ctx, img, plan.Promotion.Channel)
		if err != nil {
			return err
		}
		for _, why := range shut {
			plan.Fleets[i].Refusals = append(plan.Fleets[i].Refusals, img.String()+": "+why)
		}
	}
	return nil
}

// shut returns which gates of a rollback keep an image out.
func (p *Promoter) shut(ctx context.Context, img bake.Image, ch Channel) ([]string, error) {
	gates, err := NewGates(p.c.Catalog).Check(ctx, img, Rule{Channel: ch, Back: true}, p.c.Clock.Now())
	if err != nil {
		return nil, err
	}
	var all []string
	for _, g := range gates {
		if !g.Open {
			all = append(all, g.Name+": "+g.Detail)
		}
	}
	return all, nil
}

// look returns what a promotion would do to one fleet.
func look(ctx context.Context, l *leg, q Query) FleetPlan {
	f := FleetPlan{Wave: l.r.Wave, Fleet: l.r.Fleet, AMI: q.Artifact.AMI}
	if l.home {
		q.Artifact, q.Moves = bake.Artifact{}, l.r.Moves
		f.AMI, f.Moves = l.r.Moves[0].FromAMI, l.r.Moves
	}
	var err error
	if f.Preflight, err = l.fleet.Preflight(ctx, q); err != nil {
		f.Error = err.Error()
	}
	if !l.home && l.r.To.Version == "" {
		f.Refusals = append(f.Refusals, "no record tells what it ran before iibake moved it: set its launch template by hand")
	}
	return f
}

// judge draws the conclusions from what was found.
func (plan *Plan) judge() {
	plan.Refusals = append(plan.Refusals, refusals(plan.Gates)...)
	plan.There = plan.Promotion.Only || same(plan.Promotion.From, &plan.Promotion.To)
	waves := make([]time.Duration, len(plan.Promotion.Waves))
	for _, f := range plan.Fleets {
		plan.There = plan.There && f.There
		if f.Error != "" {
			plan.Refusals = append(plan.Refusals, f.Fleet.Name+": "+f.Error)
		}
		for _, why := range f.Refusals {
			plan.Refusals = append(plan.Refusals, f.Fleet.Name+": "+why)
		}
		if !f.There {
			waves[f.Wave] = max(waves[f.Wave], time.Duration(f.Estimate))
		}
		plan.Notes = append(plan.Notes, f.notes()...)
	}
	for _, wave := range waves {
		plan.Estimate += bake.Duration(wave) + plan.Promotion.Soak
	}
	if older(plan.Image, plan.Before) && !plan.Promotion.Back {
		plan.Notes = append(plan.Notes, fmt.Sprintf("%s is older than %s, which the channel holds", plan.Image.Ref, plan.Before.Ref))
	}
}

// foresee warns of a freeze that has begun by the time at which the promotion is expected to end: nothing more moves then
// until the freeze is over.
func (plan *Plan) foresee(rule Rule) error {
	if plan.There || rule.Back {
		return nil
	}
	end := plan.At.Add(time.Duration(plan.Estimate))
	until, reason, err := rule.Frozen(end)
	if err != nil || until.IsZero() {
		return err
	}
	plan.Notes = append(plan.Notes, fmt.Sprintf("the channel is frozen%s when this is expected to end, at %s, until %s: what has not moved by then would wait that long",
		joined(" for ", reason), utcText(end), utcText(until)))
	return nil
}

func older(a, b *bake.Image) bool { return a != nil && b != nil && a.Created.Before(b.Created) }

// notes tells what may surprise, beside what the preflight found.
func (f FleetPlan) notes() []string {
	s := f.Fleet.Strategy
	if len(s.Probes) == 0 || len(s.Checkpoints) == 0 && !s.Canary {
		return nil
	}
	var need time.Duration
	for _, p := range s.Probes {
		need = max(need, time.Duration(p.tries())*max(time.Duration(p.Timeout), defaultPoll))
	}
	if need <= time.Duration(s.CheckpointDelay) {
		return nil
	}
	return []string{fmt.Sprintf("%s: a probe that fails is known to fail after %s, but checkpoint_delay is %s: the refresh may be past the checkpoint then",
		f.Fleet.Name, need, s.CheckpointDelay)}
}
