package bake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
)

// templates makes templates from words such as "web" and "web<base@candidate".
func templates(words ...string) []bake.Template {
	var all []bake.Template
	for i, w := range words {
		name, source, _ := strings.Cut(w, "<")
		pos := bake.Position{File: name + ".yaml", Line: i + 1, Column: 1}
		all = append(all, bake.Template{Name: name, Pos: pos, Source: bake.Source{Image: source, Pos: pos}})
	}
	return all
}

func names(p *bake.Plan) string {
	var all []string
	for _, t := range p.Templates() {
		all = append(all, t.Name)
	}
	return strings.Join(all, " ")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	all := templates("web<base@candidate", "db<base@production", "base", "app<web@candidate", "old<base:1", "alien<other@candidate")
	for want, order := range map[string]string{
		"":             "base web db app old alien",
		"app":          "base web app",
		"db app":       "base db web app",
		"app base app": "base web app",
		"old":          "old", // a fixed version does not move
		"alien":        "alien",
	} {
		p, err := bake.NewPlan(all, strings.Fields(want))
		if err != nil || names(p) != order {
			t.Errorf("%q: got %v and %v, want %s", want, p, err, order)
		}
	}
	p, err := bake.NewPlan(nil, nil)
	if err != nil || names(p) != "" || p.Run(t.Context(), 1, nil) != nil {
		t.Errorf("nothing: got %v and %v", p, err)
	}
}

func TestPlanLeavesArgumentsAlone(t *testing.T) {
	t.Parallel()
	want := []string{"mine", "too"}
	if _, err := bake.NewPlan(templates("a", "b"), want[:0]); err != nil || want[0] != "mine" {
		t.Errorf("got %q and %v", want, err)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		all, want string
		lines     []string
		is        error
	}{
		{"a b", "c", []string{`not found: no template is named "c": there are a, b`}, bake.ErrNotFound},
		{"", "c", []string{`not found: no template is named "c": there are none`}, bake.ErrNotFound},
		{"a<a@x", "", []string{"a.yaml:1:1: invalid: images go round in a circle: a → a: give one of them another source"}, bake.ErrInvalid},
		{"a<b@x b<c@x c<b@x", "", []string{"b.yaml:2:1: invalid: images go round in a circle: b → c → b: give"}, bake.ErrInvalid},
		{"a<b@x b<a@x c<d@x d<c@x", "", []string{
			"a.yaml:1:1: invalid: images go round in a circle: a → b → a: give", "c.yaml:3:1: invalid: images go round in a circle: c → d → c: give",
		}, bake.ErrInvalid},
		{"a b a a<a@x", "x y", []string{
			"a.yaml:3:1: invalid: image a is already the name in a.yaml:1:1: choose", "a.yaml:4:1: invalid: image a is", `not found: no template is named "x"`,
			`not found: no template is named "y"`,
		}, bake.ErrInvalid},
	} {
		p, err := bake.NewPlan(templates(strings.Fields(c.all)...), strings.Fields(c.want))
		if p != nil || !errors.Is(err, c.is) {
			t.Errorf("%s: got %v and %v", c.all, p, err)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if !slices.EqualFunc(lines, c.lines, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", c.all, lines, c.lines)
		}
	}
}

// forest draws templates of which each starts from an earlier one or from nothing, in any order.
func forest() *rapid.Generator[[]bake.Template] {
	return rapid.Custom(func(t *rapid.T) []bake.Template {
		words := make([]string, rapid.IntRange(1, 12).Draw(t, "size"))
		for i := range words {
			words[i] = fmt.Sprint("t", i)
			if parent := rapid.IntRange(-1, i-1).Draw(t, "parent"); parent >= 0 {
				words[i] += fmt.Sprint("<t", parent, "@candidate")
			}
		}
		return templates(rapid.Permutation(words).Draw(t, "order")...)
	})
}

// TestPlanRun wants of any forest: every template is done once and behind its parent, never more at a time than allowed, and
// exactly the descendants of those that fail are left out.
func TestPlanRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := forest().Draw(t, "templates")
		fails := rapid.SliceOfDistinct(rapid.SampledFrom(all), func(x bake.Template) string { return x.Name }).Draw(t, "fails")
		parallel := rapid.IntRange(0, 4).Draw(t, "parallel")
		plan, err := bake.NewPlan(all, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := recorder{state: map[string]error{}, limit: max(1, parallel), fails: map[string]bool{}}
		for _, f := range fails {
			r.fails[f.Name] = true
		}
		err = plan.Run(t.Context(), parallel, r.do)
		for _, x := range plan.Templates() {
			_, done := r.state[x.Name]
			parent, hasParent := r.state[x.ParentName()]
			if want := x.ParentName() == "" || hasParent && parent == nil; done != want {
				t.Fatalf("%s: done is %v, want %v", x.Name, done, want)
			}
			if left := x.Name + ": not baked: parent image failed: " + x.ParentName(); !done && !strings.Contains(err.Error(), left) {
				t.Fatalf("got %v, want %s", err, left)
			}
		}
		if len(r.broken) > 0 || errors.Is(err, errBaking) != (len(fails) > 0 && r.failed) || (err == nil) == r.failed {
			t.Fatalf("got %v and %q", err, r.broken)
		}
	})
}

var errBaking = errors.New("cannot bake")

// recorder does templates and notes what should not be.
type recorder struct {
	mu      sync.Mutex
	state   map[string]error // what became of those that are done
	fails   map[string]bool
	failed  bool
	limit   int
	running atomic.Int32
	broken  []string
}

func (r *recorder) do(_ context.Context, t bake.Template) error {
	if n := r.running.Add(1); int(n) > r.limit {
		r.note(fmt.Sprintf("%d run at once", n))
	}
	defer r.running.Add(-1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if parent := t.ParentName(); parent != "" {
		if err, ok := r.state[parent]; !ok || err != nil {
			r.broken = append(r.broken, t.Name+" runs before its parent")
		}
	}
	if _, ok := r.state[t.Name]; ok {
		r.broken = append(r.broken, t.Name+" runs twice")
	}
	r.state[t.Name] = nil
	if r.fails[t.Name] {
		r.failed = true
		r.state[t.Name] = fmt.Errorf("%s: %w", t.Name, errBaking)
	}
	return r.state[t.Name]
}

func (r *recorder) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = append(r.broken, what)
}

func TestPlanRunsInParallel(t *testing.T) {
	t.Parallel()
	plan, err := bake.NewPlan(templates("a", "b", "c"), nil)
	must(t, err)
	var together sync.WaitGroup
	together.Add(3)
	err = plan.Run(t.Context(), 3, func(context.Context, bake.Template) error {
		together.Done()
		together.Wait() // nobody gets further unless all three are here
		return nil
	})
	must(t, err)
}

func TestPlanRunsInOrder(t *testing.T) {
	t.Parallel()
	plan, err := bake.NewPlan(templates("web<base@candidate", "a", "base", "b"), nil)
	must(t, err)
	var order []string
	must(t, plan.Run(t.Context(), 1, func(_ context.Context, t bake.Template) error {
		order = append(order, t.Name)
		return nil
	}))
	if got := strings.Join(order, " "); got != names(plan) || got != "base web a b" {
		t.Errorf("got %s", got)
	}
}

func TestPlanCancelled(t *testing.T) {
	t.Parallel()
	plan, err := bake.NewPlan(templates("base", "web<base@candidate", "other"), nil)
	must(t, err)
	why := errors.New("two times Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	var done []string
	err = plan.Run(ctx, 1, func(_ context.Context, t bake.Template) error {
		done = append(done, t.Name)
		cancel(why)
		return nil // it came too late
	})
	if !errors.Is(err, why) || !slices.Equal(done, []string{"base"}) {
		t.Errorf("got %v, done %q", err, done)
	}
	if err := plan.Run(ctx, 4, func(context.Context, bake.Template) error { panic("started") }); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestParentName(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{"": "", "base@candidate": "base", "base:2026.11.22-1-gabc1234": "base"} {
		if got := (bake.Template{Source: bake.Source{Image: source}}).ParentName(); got != want {
			t.Errorf("%s: got %s", source, got)
		}
	}
}
