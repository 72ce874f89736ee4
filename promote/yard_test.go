package promote_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// yard is where fleets are: it outlives the processes that promote, keeps what they made, and answers what leaked. Its time passes when
// somebody sleeps.
type yard struct {
	mu     sync.Mutex
	now    time.Time
	groups map[string]*group
	amis   map[string]map[string]string // by target and version
	made   int                          // AMIs
	alarm  map[string]bool              // versions whose alarm rings when an instance has them
	broken map[string]bool              // versions with which instances never become healthy: the refresh fails
	goes   map[string]bool              // names of fleets whose refresh goes back by itself when it fails
	lame   map[string]bool              // names of fleets that cannot go back
	calls  map[string]int               // of fleets, by method
	order  []string                     // starts, as fleet>ami
	onTick func()                       // after time has passed
	alias  map[string]string            // AMI by target
}

// group is an Auto Scaling group and its launch template.
type group struct {
	name      string
	target    string
	versions  []string          // AMI by number of the version, from 1
	by        map[string]string // number of the version by the rollout that made it
	version   string            // of the group
	instances []string          // version of each
	refreshes []*refresh
	growth    int // instances that are desired and not there yet
	ill       int // instances that are not healthy
}

type refresh struct {
	id       string
	rollout  string // and the direction
	from, to string // version
	state    promote.State
	reason   string
	began    time.Time
	paid     int // instances that had their turn
}

const (
	perInstance = 10 * time.Second // of a refresh
	checkpoint  = time.Minute      // after the first instance
)

func newYard() *yard {
	return &yard{
		now: at, groups: map[string]*group{}, amis: map[string]map[string]string{}, alarm: map[string]bool{}, broken: map[string]bool{},
		goes: map[string]bool{}, lame: map[string]bool{}, calls: map[string]int{}, alias: map[string]string{}, onTick: func() {},
	}
}

// add makes a group whose instances run an AMI.
func (y *yard) add(m promote.Member, instances int, ami string) {
	y.groups[m.Name] = &group{
		name: m.Name, target: m.Target, versions: []string{ami}, by: map[string]string{}, version: "1",
		instances: slices.Repeat([]string{"1"}, instances),
	}
}

// Now and Sleep make the yard a clock.
func (y *yard) Now() time.Time {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.now
}

func (y *yard) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	y.mu.Lock()
	y.now = y.now.Add(d)
	for _, g := range y.groups {
		if len(g.refreshes) > 0 {
			y.advance(g, g.refreshes[len(g.refreshes)-1])
		}
	}
	y.mu.Unlock()
	y.onTick()
	return nil
}

func (g *group) ami(version string) string {
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 || n > len(g.versions) {
		return ""
	}
	return g.versions[n-1]
}

func versionOf(ami string) string { return ami[strings.LastIndexByte(ami, '-')+1:] }

// advance lets a refresh come as far as it is by now.
func (y *yard) advance(g *group, r *refresh) {
	if r.state.Ended() {
		return
	}
	if r.state == promote.Cancelling {
		r.state = promote.Cancelled
		return
	}
	turns := int(y.now.Sub(r.began) / perInstance)
	if r.state != promote.GoingBack && turns > 1 { // it waits after the first instance
		turns = max(1, int((y.now.Sub(r.began)-checkpoint)/perInstance))
	}
	bad := y.broken[versionOf(g.ami(r.to))] && r.state != promote.GoingBack || y.lame[g.name] && (r.state == promote.GoingBack || strings.HasSuffix(r.rollout, "back"))
	if r.state == promote.Waiting {
		r.state = promote.Replacing
	}
	for r.paid < min(turns, len(g.instances)) {
		if bad {
			y.fail(g, r)
			return
		}
		g.instances[r.paid] = r.to
		if r.state == promote.GoingBack {
			g.instances[r.paid] = r.from
		}
		r.paid++
	}
	if r.paid < len(g.instances) {
		return
	}
	g.version = r.to
	if r.state == promote.GoingBack {
		r.state, g.version = promote.WentBack, r.from
		return
	}
	r.state = promote.Succeeded
}

func (y *yard) fail(g *group, r *refresh) {
	switch {
	case r.state == promote.GoingBack:
		r.state, r.reason = promote.NotGoneBack, "instances do not become healthy"
	case y.goes[g.name]:
		r.state, r.reason = promote.GoingBack, "instances did not become healthy"
		r.began, r.paid = y.now, 0
	default:
		r.state, r.reason = promote.Failing, "instances do not become healthy"
	}
}

// fleet is what a process has of a group.
type fleet struct {
	y *yard
	g *group
}

func (f fleet) enter(method string) func() {
	f.y.mu.Lock()
	f.y.calls[method]++
	return f.y.mu.Unlock
}

func (f fleet) launch(version string) promote.Launch {
	ami := f.g.ami(version)
	l := promote.Launch{Template: "lt-" + f.g.name, Name: f.g.name, Version: version, AMI: ami}
	if v := versionOf(ami); v != "0" {
		l.Image = &bake.Ref{Name: "web", Version: v}
	}
	return l
}

func (f fleet) Preflight(_ context.Context, q promote.Query) (promote.Preflight, error) {
	defer f.enter("Preflight")()
	p := promote.Preflight{Group: f.g.name, Current: []promote.Launch{f.launch(f.g.version)}, Instances: len(f.g.instances)}
	p.Estimate = bake.Duration(checkpoint + time.Duration(len(f.g.instances))*perInstance)
	if f.g.running() != nil {
		p.Refusals = append(p.Refusals, "a refresh is running: wait until it has ended")
	}
	want := q.Artifact.AMI
	for _, m := range q.Moves {
		want = m.FromAMI
		if f.g.ami(m.From) != m.FromAMI {
			p.Refusals = append(p.Refusals, "launch template version "+m.From+" is not there: promote the image anew")
		}
	}
	p.There = f.g.ami(f.g.version) == want && !slices.ContainsFunc(f.g.instances, func(v string) bool { return v != f.g.version })
	return p, nil
}

func (g *group) running() *refresh {
	if n := len(g.refreshes); n > 0 && !g.refreshes[n-1].state.Ended() {
		return g.refreshes[n-1]
	}
	return nil
}

func (f fleet) Stage(_ context.Context, r promote.Rollout) (promote.Rollout, error) {
	defer f.enter("Stage")()
	version, made := f.g.by[r.ID()]
	if !made {
		f.g.versions = append(f.g.versions, r.AMI)
		version = strconv.Itoa(len(f.g.versions))
		f.g.by[r.ID()] = version
	}
	r.Moves = []promote.Move{{
		Template: "lt-" + f.g.name, Name: f.g.name, From: f.g.version, To: version, FromAMI: f.g.ami(f.g.version), ToAMI: f.g.ami(version),
	}}
	return r, nil
}

func key(r promote.Rollout) string {
	if r.Back {
		return r.ID() + " back"
	}
	return r.ID()
}

func (f fleet) Start(_ context.Context, r promote.Rollout) (promote.Rollout, error) {
	defer f.enter("Start")()
	for _, known := range f.g.refreshes {
		if known.rollout == key(r) {
			r.Refresh = known.id
			return r, nil
		}
	}
	if f.g.running() != nil {
		return r, fmt.Errorf("a refresh is running in %s", f.g.name)
	}
	to := r.Moves[0].To
	if r.Back {
		to = r.Moves[0].From
	}
	f.y.order = append(f.y.order, f.g.name+">"+f.g.ami(to))
	if f.g.version == to && !slices.ContainsFunc(f.g.instances, func(v string) bool { return v != to }) {
		r.Refresh = ""
		return r, nil
	}
	began := &refresh{
		id: fmt.Sprintf("%s-%d", f.g.name, len(f.g.refreshes)+1), rollout: key(r), from: f.g.version, to: to,
		state: promote.Waiting, began: f.y.now,
	}
	f.g.refreshes = append(f.g.refreshes, began)
	r.Refresh = began.id
	return r, nil
}

func (g *group) find(r promote.Rollout) *refresh {
	for _, known := range g.refreshes {
		if known.id == r.Refresh || r.Refresh == "" && known.rollout == key(r) {
			return known
		}
	}
	return nil
}

func (f fleet) Observe(_ context.Context, r promote.Rollout) (promote.Observation, error) {
	defer f.enter("Observe")()
	known := f.g.find(r)
	if known == nil && r.Refresh == "" {
		return promote.Observation{State: promote.Failing, Reason: "there is none", At: f.y.now}, nil
	}
	if known == nil {
		return promote.Observation{}, fmt.Errorf("%w: no refresh %s in %s", bake.ErrRefused, r.Refresh, f.g.name)
	}
	o := promote.Observation{State: known.state, Reason: known.reason, Desired: len(f.g.instances) + f.g.growth, Healthy: len(f.g.instances) - f.g.ill, At: f.y.now}
	for _, v := range f.g.instances {
		if v == known.to {
			o.New++
		} else {
			o.Old++
		}
		if f.y.alarm[versionOf(f.g.ami(v))] {
			o.Alarm = "web-5xx"
		}
	}
	o.Percent = o.New * 100 / max(len(f.g.instances), 1)
	return o, nil
}

func (f fleet) Cancel(_ context.Context, r promote.Rollout) error {
	defer f.enter("Cancel")()
	if known := f.g.find(r); known != nil && !known.state.Ended() {
		known.state = promote.Cancelling
	}
	return nil
}

func (f fleet) Rollback(_ context.Context, r promote.Rollout) error {
	defer f.enter("Rollback")()
	known := f.g.find(r)
	switch {
	case known == nil || known.state == promote.Waiting:
		return fmt.Errorf("%s: %w", f.g.name, promote.ErrTooLate)
	case known.state == promote.GoingBack || known.state == promote.WentBack:
		return nil
	case known.state.Ended() || known.state == promote.Cancelling:
		return fmt.Errorf("%s: %w", f.g.name, promote.ErrTooLate)
	}
	known.state, known.reason = promote.GoingBack, "as was asked for"
	known.began, known.paid = f.y.now, 0
	return nil
}

// Leaked returns what is left half-way: refreshes that run, and versions of which there are more than the rollouts that wanted them.
func (y *yard) Leaked() []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var left []string
	for _, name := range slices.Sorted(maps.Keys(y.groups)) {
		g := y.groups[name]
		if r := g.running(); r != nil {
			left = append(left, "refresh "+r.id+" "+string(r.state))
		}
		if len(g.versions) != 1+len(g.by) {
			left = append(left, fmt.Sprintf("%s has %d versions of %d rollouts", name, len(g.versions), len(g.by)))
		}
	}
	targets := map[string]bool{}
	for _, g := range y.groups {
		targets[g.target] = true
	}
	for target, amis := range y.amis {
		if !targets[target] {
			left = append(left, fmt.Sprintf("%v in %s, where no fleet is", amis, target))
		}
	}
	return left
}

// running returns the versions of the image that a group's instances and the group itself have, sorted.
func (y *yard) running(name string) []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	g := y.groups[name]
	versions := []string{versionOf(g.ami(g.version))}
	for _, v := range g.instances {
		versions = append(versions, versionOf(g.ami(v)))
	}
	slices.Sort(versions)
	return slices.Compact(versions)
}

// Publish and Find make the yard a publisher.
func (y *yard) Publish(_ context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, t := range targets {
		if y.amis[t] == nil {
			y.amis[t] = map[string]string{}
		}
		if y.amis[t][img.Version] == "" {
			y.amis[t][img.Version] = "ami-" + img.Version
			y.made++
		}
	}
	return y.found(img, targets), nil
}

func (y *yard) Find(_ context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.found(img, targets), nil
}

func (y *yard) found(img bake.Image, targets []string) map[string]bake.Artifact {
	found := map[string]bake.Artifact{}
	for _, t := range targets {
		if ami := y.amis[t][img.Version]; ami != "" {
			found[t] = bake.Artifact{Image: img.Ref, AMI: ami}
		}
	}
	return found
}

// Set makes the yard hold an alias.
func (y *yard) Set(_ context.Context, _ string, artifacts map[string]bake.Artifact) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	for target, a := range artifacts {
		y.alias[target] = a.AMI
	}
	return nil
}
