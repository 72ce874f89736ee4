package asg_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg"
)

// wire counts the requests of a process, and does something to one of them.
type wire struct {
	cloud http.RoundTripper
	at    int    // number of the request, from 1
	what  string // becomes of it: lost, killed before, killed after
	mu    sync.Mutex
	n     int
	dead  bool
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil, errKilled
	}
	w.n++
	if w.n != w.at {
		return w.cloud.RoundTrip(r)
	}
	w.dead = w.what != "lost"
	if w.what != "killed before" {
		if answer, err := w.cloud.RoundTrip(r); err == nil {
			_ = answer.Body.Close()
		}
	}
	return nil, errKilled
}

// process is one process of iibake, until it dies.
type process struct {
	*asg.Fleet

	wire *wire
}

// processes hands out the one that lives: the first one meets its fate, those after it do not.
type processes struct {
	w     *world
	first *process
	next  *asg.Fleet
}

func (w *world) processes(at int, what string) *processes {
	w.t.Helper()
	line := &wire{cloud: w.cloud.Client().Transport}
	p := &process{Fleet: w.fleetThrough(strategy(), line), wire: line}
	line.n, line.at, line.what = 0, at, what
	return &processes{w: w, first: p, next: w.fleet(strategy())}
}

// do lets the first process do something, and another one after it has died. What it had not put on record is lost.
func (p *processes) do(what func(*asg.Fleet) error) error {
	if !p.first.wire.dead {
		err := what(p.first.Fleet)
		if !p.first.wire.dead {
			return err
		}
	}
	return what(p.next)
}

// full is a rollout by whichever process lives, with each method called twice at the end.
func (p *processes) full(t *testing.T) promote.Rollout {
	t.Helper()
	r := p.w.rollout(strategy())
	step := func(do func(*asg.Fleet) error) {
		t.Helper()
		ok(t, p.do(do))
	}
	step(func(f *asg.Fleet) error { _, err := f.Preflight(t.Context(), p.w.query()); return err })
	step(func(f *asg.Fleet) (err error) { out, err := f.Stage(t.Context(), r); return keep(&r, out, err) })
	step(func(f *asg.Fleet) (err error) { out, err := f.Start(t.Context(), r); return keep(&r, out, err) })
	step(func(f *asg.Fleet) error { _, err := f.Observe(t.Context(), r); return err })
	p.w.follow(p.next, r, func(o promote.Observation) bool { return o.New > 0 })
	return r
}

func keep(r *promote.Rollout, out promote.Rollout, err error) error {
	if err == nil {
		*r = out
	}
	return err
}

func fates() []string { return []string{"lost", "killed before", "killed after"} }

// Whatever happens to any request, whoever goes on ends with one version, one refresh and the image.
func TestFaultsOnTheWayThere(t *testing.T) {
	if testing.Short() {
		t.Skip("tries a rollout some fifty times")
	}
	enumerate(t, func(t *testing.T, w *world, p *processes) {
		t.Helper()
		r := p.full(t)
		if h := w.follow(p.next, r, nil); h.last.State != promote.Succeeded || h.last.New != 2 {
			t.Errorf("got %+v", h)
		}
		if n := len(w.refreshes()); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

// The same on the way back of a refresh that runs, and of one that was stopped.
func TestFaultsOnTheWayBack(t *testing.T) {
	if testing.Short() {
		t.Skip("tries a rollback some fifty times")
	}
	enumerate(t, func(t *testing.T, w *world, p *processes) {
		t.Helper()
		before := w.processes(0, "")
		r := before.full(t)
		err := p.do(func(f *asg.Fleet) error { return f.Rollback(t.Context(), r) })
		ok(t, err)
		ok(t, p.do(func(f *asg.Fleet) error { return f.Cancel(t.Context(), r) }))
		w.follow(p.next, r, nil)
		r.Refresh, r.Back = "", true
		ok(t, p.do(func(f *asg.Fleet) (err error) { out, err := f.Start(t.Context(), r); return keep(&r, out, err) }))
		h := w.follow(p.next, r, nil)
		if h.last.State != promote.Succeeded || h.last.New != 2 || h.last.Old != 0 {
			t.Errorf("got %+v", h)
		}
		if n := len(w.refreshes()); n > 2 { // one where the first ended before anything was replaced
			t.Errorf("%d refreshes", n)
		}
	})
}

// enumerate tries something with a fault at each of its requests.
func enumerate(t *testing.T, try func(*testing.T, *world, *processes)) {
	t.Helper()
	for _, what := range fates() {
		for at, more := 1, true; more; at++ {
			t.Run(fmt.Sprintf("%s %d", strings.ReplaceAll(what, " ", "-"), at), func(t *testing.T) {
				w := newWorld(t, "")
				w.addGroup(2)
				p := w.processes(at, what)
				try(t, w, p)
				if n := len(w.versions(w.template)); n != 2 {
					t.Errorf("%d versions", n)
				}
				if got := healthy(w.group()); got != 2 {
					t.Errorf("%d are healthy", got)
				}
				more = p.first.wire.dead || p.first.wire.n >= at
			})
			if t.Failed() {
				return
			}
		}
	}
}

// Every method may be called again.
func TestEveryMethodTwice(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(4)
	f, planned := w.fleet(strategy()), w.rollout(strategy())
	var staged, started [2]promote.Rollout
	for i := range staged {
		var err error
		staged[i], err = f.Stage(t.Context(), planned)
		ok(t, err)
	}
	for i := range started {
		var err error
		started[i], err = f.Start(t.Context(), staged[i])
		ok(t, err)
	}
	if staged[0].Moves[0].To != staged[1].Moves[0].To || started[0].Refresh != started[1].Refresh || len(w.versions(w.template)) != 2 || len(w.refreshes()) != 1 {
		t.Errorf("got %+v, %+v", started[0], started[1])
	}
	w.follow(f, started[0], nil)
	again, err := f.Stage(t.Context(), planned)
	if err != nil || again.Moves[0].From != "1" || again.Moves[0].To != "2" || len(w.versions(w.template)) != 2 {
		t.Errorf("staged after its end: %+v, %v", again.Moves, err)
	}
	if again, err = f.Start(t.Context(), again); err != nil || again.Refresh != started[0].Refresh || len(w.refreshes()) != 1 {
		t.Errorf("started after its end: %+v, %v", again, err)
	}
}

// A version is known again by its description, however long the names are that stand in it.
func TestLongNames(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f, r := w.fleet(strategy()), w.rollout(strategy())
	long := strings.Repeat("x", 63)
	r.Promotion, r.Fleet.Name, r.To.Name = "y"+long+"@"+long+"#123", long, "y"+long
	staged, err := f.Stage(t.Context(), r)
	ok(t, err)
	w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(w.template, staged.Moves[0].To)})
	again, err := f.Stage(t.Context(), r)
	if err != nil || again.Moves[0].From != "1" || again.Moves[0].To != "2" {
		t.Errorf("got %+v, %v", again.Moves, err)
	}
}

// A rollout with the same name in another catalog is another rollout.
func TestAnotherRollout(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	w.follow(f, w.begin(f, w.rollout(strategy())), nil)
	next := w.rollout(strategy())
	next.Promotion, next.To, next.AMI = "web@production#2", web(1).Ref, w.images[0]
	r := w.begin(f, next)
	if r.Moves[0].From != "2" || r.Moves[0].To != "3" || len(w.refreshes()) != 2 {
		t.Errorf("got %+v", r)
	}
}

// A version that was staged is found when its token is long forgotten, and a refresh of somebody who rolled the same image out is not taken for ours.
func TestAStrangerWithTheSameImage(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	_, err = target.AutoScaling(w.admin).StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String(group), DesiredConfiguration: &astypes.DesiredConfiguration{LaunchTemplate: spec(w.template, "2")},
	})
	ok(t, err)
	if _, err := f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("got %v", err)
	}
}
