package promote_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

var errKilled = errors.New("killed")

// fault is what happens at a call.
type fault int

const (
	none       fault = iota
	killBefore       // the process dies, and the call is not made
	killAfter        // the call is made, and the process dies
	fails            // the call is not made, and says so
	lost             // the call is made, and says that it was not
)

func (f fault) String() string {
	return [...]string{"goes well", "killed before it", "killed after it", "fails", "its answer is lost"}[f]
}

// process is a promoter with all that it calls in between, so that it can die: nothing that it does afterwards has an effect.
type process struct {
	*stage

	name string
	at   int // number of the call at which the fault happens, from 1; 0 for none
	what fault

	mu    sync.Mutex
	calls int
	dead  bool
}

// call makes a call, or lets it go wrong.
func (p *process) call(f func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errKilled
	}
	p.calls++
	what := none
	if p.calls == p.at {
		what = p.what
	}
	p.dead = what == killBefore || what == killAfter
	p.mu.Unlock()
	switch what {
	case killBefore:
		return errKilled
	case fails:
		return errors.New("no answer")
	case killAfter:
		_ = f()
		return errKilled
	case lost:
		if err := f(); err != nil {
			return err
		}
		return errors.New("connection reset")
	case none:
	}
	return f()
}

func (p *process) killed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// ask asks the catalog for a key, unless that does not answer.
func (p *process) ask(key string, f func() error) error {
	return p.call(func() error {
		if p.deaf != nil && p.deaf(key) {
			return fmt.Errorf("%w (request %d)", errDeaf, p.calls)
		}
		return f()
	})
}

var errDeaf = errors.New("the catalog does not answer")

// The catalog.
func (p *process) Put(ctx context.Context, key string, body []byte) error {
	return p.ask(key, func() error { return p.catalog.Put(ctx, key, body) })
}

func (p *process) Get(ctx context.Context, key string) (body []byte, err error) {
	err = p.ask(key, func() error { body, err = p.catalog.Get(ctx, key); return err })
	return body, err
}

func (p *process) List(ctx context.Context, prefix string) (keys []string, err error) {
	err = p.ask(prefix, func() error { keys, err = p.catalog.List(ctx, prefix); return err })
	return keys, err
}

func (p *process) Swap(ctx context.Context, head string, old, next []byte) error {
	return p.ask(head, func() error { return p.catalog.Swap(ctx, head, old, next) })
}

func (p *process) Verify(ctx context.Context) ([]catalog.Problem, error) {
	return p.catalog.Verify(ctx)
}

// The clock.
func (p *process) Now() time.Time { return p.yard.Now() }

func (p *process) Sleep(ctx context.Context, d time.Duration) error {
	if p.killed() {
		return errKilled
	}
	return p.yard.Sleep(ctx, d)
}

// wired is a fleet as a process reaches it.
type wired struct {
	p *process
	f fleet
}

func (w wired) Preflight(ctx context.Context, q promote.Query) (r promote.Preflight, err error) {
	err = w.p.call(func() error { r, err = w.f.Preflight(ctx, q); return err })
	return r, err
}

func (w wired) Stage(ctx context.Context, r promote.Rollout) (out promote.Rollout, err error) {
	err = w.p.act(ctx, "stage", r, func() error {
		if w.p.unstaged == r.Fleet.Name {
			return errors.New("out of launch template versions")
		}
		out, err = w.f.Stage(ctx, r)
		return err
	})
	return out, err
}

func (w wired) Start(ctx context.Context, r promote.Rollout) (out promote.Rollout, err error) {
	err = w.p.act(ctx, "start", r, func() error {
		if out, err = w.f.Start(ctx, r); err == nil && w.p.started != nil {
			w.p.started()
		}
		return err
	})
	return out, err
}

func (w wired) Observe(ctx context.Context, r promote.Rollout) (o promote.Observation, err error) {
	err = w.p.call(func() error {
		if w.p.away == r.Fleet.Name {
			return errors.New("no route to host")
		}
		o, err = w.f.Observe(ctx, r)
		return err
	})
	return o, err
}

func (w wired) Cancel(ctx context.Context, r promote.Rollout) error {
	return w.p.act(ctx, "cancel", r, func() error { return w.f.Cancel(ctx, r) })
}

func (w wired) Rollback(ctx context.Context, r promote.Rollout) error {
	return w.p.act(ctx, "rollback", r, func() error { return w.f.Rollback(ctx, r) })
}

// act is a call that changes a fleet. What announces it must be on record, by whoever drives the promotion.
func (p *process) act(ctx context.Context, what string, r promote.Rollout, f func() error) error {
	return p.call(func() error {
		p.acted(ctx, p.name, what, r)
		return f()
	})
}

// wiredPublisher is a publisher, and an alias, as a process reaches them.
type wiredPublisher struct{ p *process }

func (w wiredPublisher) Publish(ctx context.Context, img bake.Image, targets []string) (a map[string]bake.Artifact, err error) {
	err = w.p.call(func() error {
		if w.p.publishing != nil {
			w.p.publishing()
		}
		if slices.Contains(targets, w.p.missing) {
			return errors.New("quota is reached")
		}
		a, err = w.p.yard.Publish(ctx, img, targets)
		return err
	})
	return a, err
}

func (w wiredPublisher) Find(ctx context.Context, img bake.Image, targets []string) (a map[string]bake.Artifact, err error) {
	err = w.p.call(func() error { a, err = w.p.yard.Find(ctx, img, targets); return err })
	return a, err
}

func (w wiredPublisher) Set(ctx context.Context, alias string, a map[string]bake.Artifact) error {
	return w.p.call(func() error {
		if w.p.aliasSet != nil {
			w.p.aliasSet()
		}
		if w.p.aliasErr != nil {
			return w.p.aliasErr
		}
		for target := range a {
			if w.p.aliasFails != nil && w.p.aliasFails(target) != nil {
				return fmt.Errorf("target %s: %w", target, w.p.aliasFails(target))
			}
		}
		return w.p.yard.Set(ctx, alias, a)
	})
}

// stage is a catalog with versions of one image, fleets that run the first one, and processes that promote.
type stage struct {
	world

	yard *yard
	rule promote.Rule

	mu     sync.Mutex
	wrong  []string // acts that nothing announced
	late   []string // acts, as process and rollout, that were under way when another process took over
	probe  func(promote.Member, promote.Probe) error
	told   []promote.Progress
	births int

	away       string                    // name of a fleet that is out of reach
	unstaged   string                    // name of a fleet that cannot be staged
	started    func()                    // when a refresh was started, before its answer
	deaf       func(key string) bool     // whether the catalog does not answer
	aliasSet   func()                    // before the alias is set
	publishing func()                    // before the image is published
	unreached  func(fleet string) bool   // whether it cannot be connected to
	aliasErr   error                     // instead of setting it
	aliasFails func(target string) error // instead of setting it there
	missing    string                    // target in which the image cannot be had
	before     int                       // promotions on record before the story
}

func member(name string) promote.Member {
	return promote.Member{Name: name, Target: "eu", Group: name, Image: "web", Strategy: promote.Strategy{
		Kind: promote.Rolling, MinHealthy: 100, MaxHealthy: 110, Canary: true, Checkpoints: []int{50, 100}, CheckpointDelay: bake.Duration(time.Minute),
	}}
}

// newStage makes a stage on which production holds web:1, unless it is empty, and three fleets in two waves have it.
func newStage(t rapid.TB) *stage {
	t.Helper()
	c := newMemory()
	s := &stage{world: world{c, promote.NewChannels(c), test.NewVerdicts(c)}, yard: newYard()}
	s.rule = promote.Rule{
		Channel: production, Soak: bake.Duration(2 * time.Minute), Parameter: "/images/web",
		Waves: [][]promote.Member{{member("canary")}, {member("east"), member("west")}},
	}
	for v := 1; v <= 4; v++ {
		s.proven(t, v)
	}
	for _, wave := range s.rule.Waves {
		for i, m := range wave {
			s.yard.add(m, 3+i, "ami-0")
		}
	}
	return s
}

// proven records an image that passed its tests.
func (s *stage) proven(t rapid.TB, version int) {
	t.Helper()
	ctx := context.Background()
	img := bake.Image{Ref: web(version), Disk: bake.DigestOf([]byte(strconv.Itoa(version))), Key: bake.DigestOf(nil), Commit: "abc1234", Created: at.Add(time.Duration(version) * time.Hour)}
	packages := []bake.Package{{Name: "nginx", Version: strconv.Itoa(version), Arch: "amd64"}}
	if _, err := bake.NewImages(s.catalog).Record(ctx, img, packages); err != nil {
		t.Fatalf("record %s: %v", img.Ref, err)
	}
	v := test.Verdict{Image: img.Ref, Disk: img.Disk, At: at, Results: []test.Result{{Name: "ssh", Status: test.Pass}}}
	if err := s.verdicts.Record(ctx, v); err != nil {
		t.Fatalf("judge %s: %v", img.Ref, err)
	}
}

// spawn starts a process, in which a call may go wrong.
func (s *stage) spawn(at int, what fault) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.births++
	return &process{stage: s, name: fmt.Sprintf("process %d", s.births), at: at, what: what}
}

func (p *process) promoter() *promote.Promoter {
	return promote.New(promote.Config{
		Catalog: p, Clock: p, Driver: p.name, Poll: 20 * time.Second, Publisher: wiredPublisher{p}, Alias: wiredPublisher{p}, Workers: 4,
		Rules: func(string, promote.Channel) (promote.Rule, error) { return p.rule, nil },
		Fleet: func(_ context.Context, m promote.Member) (promote.Fleet, error) {
			if p.unreached != nil && p.unreached(m.Name) {
				return nil, errors.New("no credentials")
			}
			g, ok := p.yard.groups[m.Name]
			if !ok {
				return nil, fmt.Errorf("no group %s", m.Name)
			}
			return wired{p, fleet{p.yard, g}}, nil
		},
		Probe: func(_ context.Context, m promote.Member, probe promote.Probe) error {
			if p.probe == nil {
				return nil
			}
			return p.probe(m, probe)
		},
		Report: func(v promote.Progress) {
			p.stage.mu.Lock()
			defer p.stage.mu.Unlock()
			p.told = append(p.told, v)
		},
	})
}

// promoted plans and runs a promotion of a version in a process.
func (p *process) promoted(version int, change func(*promote.Request)) (promote.Outcome, error) {
	r := promote.Request{Image: web(version), Channel: production, By: "ada"}
	if change != nil {
		change(&r)
	}
	pro := p.promoter()
	plan, err := pro.Plan(context.Background(), r)
	if err != nil {
		return promote.Outcome{}, err
	}
	return pro.Run(context.Background(), plan)
}

func (p *process) rolledBack(change func(*promote.RollbackRequest)) (promote.Outcome, error) {
	r := promote.RollbackRequest{Name: "web", Channel: production, By: "ada", Reason: "it smells"}
	if change != nil {
		change(&r)
	}
	pro := p.promoter()
	plan, err := pro.PlanRollback(context.Background(), r)
	if err != nil {
		return promote.Outcome{}, err
	}
	return pro.Run(context.Background(), plan)
}

func (p *process) resumed() (promote.Outcome, error) {
	return p.promoter().Resume(context.Background(), "web", production)
}

// acted notes an act that no record announced, or that a process made that does not drive the promotion any more.
func (s *stage) acted(ctx context.Context, process, what string, r promote.Rollout) {
	announced := map[string][]promote.Phase{
		"stage": {promote.Staging}, "start": {promote.Starting, promote.Reverting},
		"cancel": {promote.Stopping, promote.Reverting}, "rollback": {promote.Reverting},
	}
	wrong := func(why string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %s %s: %s", process, what, r.ID(), why))
	}
	var n int
	if _, err := fmt.Sscanf(r.Promotion, "web@production#%d", &n); err != nil {
		wrong("it belongs to no promotion")
		return
	}
	records, err := promote.NewRollouts(s.catalog).Of(ctx, promote.Promotion{Channel: production, Number: n, To: bake.Ref{Name: "web"}}, r.Fleet.Name)
	if err != nil || len(records) == 0 {
		wrong(fmt.Sprintf("nothing is on record: %v", err))
		return
	}
	last := records[len(records)-1]
	announces := func(on promote.Rollout) bool { return on.Back == r.Back && slices.Contains(announced[what], on.Phase) }
	if a, err := promote.NewActives(s.catalog).Get(ctx, "web", production); last.Driver != process && (err != nil || a.Driver != process) {
		if !s.overtaken(process, r, slices.ContainsFunc(lastOf(records, process), announces)) {
			wrong(fmt.Sprintf("%s drives it: %v", a.Driver, err))
		}
		return
	}
	for _, on := range slices.Backward(records) { // behind it may be what the driver before put late
		if announces(on) {
			return
		}
		if on.Driver == process {
			break
		}
	}
	wrong(fmt.Sprintf("the record of %s says %s", last.Driver, last.Phase))
}

// lastOf returns the last record that a process put, if there is one.
func lastOf(records []promote.Rollout, process string) []promote.Rollout {
	for i, r := range slices.Backward(records) {
		if r.Driver == process {
			return records[i : i+1]
		}
	}
	return nil
}

// overtaken reports whether an act may be the one that a process had announced when another took its place: one of each fleet is under way.
func (s *stage) overtaken(process string, r promote.Rollout, announced bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	act := process + " " + r.ID()
	if !announced || slices.Contains(s.late, act) {
		return false
	}
	s.late = append(s.late, act)
	return true
}
