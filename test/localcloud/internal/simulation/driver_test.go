package simulation_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/simulation"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// witness is an observer that writes down what it is told, and when.
type witness struct {
	clock *clock.Virtual

	mu   sync.Mutex
	said []string
}

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf("%v ", w.clock.Now().Sub(start))+fmt.Sprintf(format, args...))
}

func (w *witness) Running(_, id string, a compute.Addresses) {
	w.note("%s running %s %s", id, a.Private, a.Public)
}

func (w *witness) Status(_, id string, healthy bool) { w.note("%s healthy=%t", id, healthy) }

func (w *witness) Ended(_, id string, e compute.Ending) { w.note("%s ended %s", id, e.Code) }

func (w *witness) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.said, "\n")
	w.said = nil
	return all
}

type world struct {
	*simulation.Driver
	clock *clock.Virtual
	said  *witness
}

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
}

// newWorld returns a driver under a scenario, which may be empty.
func newWorld(t tester, scenario string) *world {
	t.Helper()
	v := clock.NewVirtual(start)
	w := &witness{clock: v}
	config := simulation.Config{Clock: v, Observer: w}
	if scenario != "" {
		s, err := simulation.Parse("scenario.yaml", []byte(scenario))
		if err != nil {
			t.Fatal(err)
		}
		config.Scenario = s
	}
	return &world{simulation.New(config), v, w}
}

func (w *world) want(t *testing.T, lines ...string) {
	t.Helper()
	if got, want := w.said.take(), strings.Join(lines, "\n"); got != want {
		t.Errorf("at %v\n got %s\nwant %s", w.clock.Now().Sub(start), got, want)
	}
}

func (w *world) probe(protocol string) string {
	answer := "none"
	check := compute.Check{Protocol: protocol, Port: 80, Timeout: 2 * time.Second}
	w.Probe("i-1", check, func(ok bool, reason string) { answer = fmt.Sprintf("%t %s", ok, reason) })
	w.clock.Advance(check.Timeout)
	return answer
}

func spec(id string, tags ...string) compute.Spec {
	s := compute.Spec{
		Region: "eu-west-1", Account: "111122223333", ID: id, Zone: "eu-west-1a", Type: "t3.micro",
		Metadata: compute.Metadata{ImageID: "ami-1"}, Tags: map[string]string{},
	}
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		s.Tags[key] = value
	}
	return s
}

func TestAnInstanceAsUsual(t *testing.T) {
	w := newWorld(t, "default: { terminate: 30s }\nversion: 1")
	w.Start(spec("i-1"))
	w.want(t)
	w.clock.Advance(3900 * time.Millisecond)
	w.want(t)
	if got := w.probe("HTTP"); got != "false Target.Timeout" {
		t.Errorf("an instance that is not up: %s", got)
	}
	w.want(t, "4s i-1 running 10.0.0.1 100.64.0.1")
	if got := w.probe("HTTP"); got != "false Target.ResponseCodeMismatch [503]" {
		t.Errorf("a guest that boots: %s", got)
	}
	if got := w.probe("TCP"); got != "false Target.FailedHealthChecks" {
		t.Errorf("a guest that boots: %s", got)
	}
	if w.Console("i-1") != nil {
		t.Error("the console has text before the guest has booted")
	}
	w.clock.Advance(30 * time.Second)
	if got := w.probe("HTTP"); got != "true " {
		t.Errorf("a guest that is up: %s", got)
	}
	if text := string(w.Console("i-1")); !strings.Contains(text, "instance i-1 of image ami-1") || !strings.HasSuffix(text, "login: ") {
		t.Errorf("the console shows %q", text)
	}
	w.clock.Advance(2 * time.Minute)
	w.want(t, "2m4s i-1 healthy=true")
	asked := w.clock.Now().Sub(start)
	w.Terminate("i-1")
	w.Terminate("i-1")
	w.clock.Advance(time.Minute)
	w.want(t, fmt.Sprintf("%v i-1 ended ", asked+30*time.Second))
	if len(w.Console("i-1")) == 0 {
		t.Error("the console of an instance that ended lately is gone")
	}
	w.clock.Advance(time.Hour)
	if w.Console("i-1") != nil {
		t.Error("the console of an instance that ended long ago is still there")
	}
	if n, _ := w.clock.Pending(); n != 0 {
		t.Errorf("%d calls are left on the clock", n)
	}
}

func TestStopAndStart(t *testing.T) {
	w := newWorld(t, "")
	w.Start(spec("i-1"))
	w.clock.Advance(10 * time.Second)
	w.want(t, "4s i-1 running 10.0.0.1 100.64.0.1")
	w.Stop("i-1", false)
	w.Start(spec("i-1")) // which makes no sense yet
	w.clock.Advance(15 * time.Second)
	w.want(t, "25s i-1 ended ")
	w.clock.Advance(time.Hour)
	w.want(t)
	w.Start(spec("i-1"))
	w.clock.Advance(5 * time.Second)
	w.want(t, "1h0m29s i-1 running 10.0.0.1 100.64.0.1")
	w.Stop("i-1", true)
	w.clock.Advance(time.Second)
	w.want(t, "1h0m31s i-1 ended ")
	w.Terminate("i-1")
	w.clock.Advance(0)
	w.want(t, "1h0m31s i-1 ended ")
}

func TestTerminateWhatBoots(t *testing.T) {
	w := newWorld(t, "version: 1\ndefault: { terminate: 20s }")
	w.Start(spec("i-1"))
	w.clock.Advance(time.Second)
	w.Terminate("i-1")
	w.Stop("i-1", true)
	w.Reboot("i-1")
	w.clock.Advance(time.Hour)
	w.want(t, "21s i-1 ended ")
}

func TestReboot(t *testing.T) {
	w := newWorld(t, "")
	w.Start(spec("i-1"))
	w.clock.Advance(time.Minute)
	w.Reboot("i-1")
	if got := w.probe("TCP"); got != "false Target.FailedHealthChecks" {
		t.Errorf("a guest that reboots: %s", got)
	}
	w.clock.Advance(30 * time.Second)
	if got := w.probe("TCP"); got != "true " {
		t.Errorf("a guest that has rebooted: %s", got)
	}
}

func TestRebootWhileTheGuestBoots(t *testing.T) {
	w := newWorld(t, "")
	w.Start(spec("i-1"))
	w.clock.Advance(14 * time.Second)
	w.Reboot("i-1")
	w.clock.Advance(25 * time.Second)
	if got := w.probe("TCP"); got != "false Target.FailedHealthChecks" {
		t.Errorf("39 s after its start, 25 s after its reboot: %s", got)
	}
	w.clock.Advance(5 * time.Second)
	if got := w.probe("TCP"); got != "true " {
		t.Errorf("30 s after its reboot: %s", got)
	}
}

func TestUnknownInstances(t *testing.T) {
	w := newWorld(t, "")
	w.Stop("i-1", false)
	w.Terminate("i-1")
	w.Reboot("i-1")
	if w.Console("i-1") != nil {
		t.Error("an unknown instance has a console")
	}
	if got := w.probe("TCP"); got != "false Target.Timeout" {
		t.Errorf("an unknown instance: %s", got)
	}
	w.want(t)
}

func TestTagsScriptAnInstance(t *testing.T) {
	for name, c := range map[string]struct {
		tags, want []string
	}{
		"slow": {[]string{"iibake:sim:boot=50s", "iibake:sim:status=1m"}, []string{"50s i-1 running 10.0.0.1 100.64.0.1", "1m50s i-1 healthy=true"}},
		"no capacity": {
			[]string{"iibake:sim:fail=Server.InsufficientInstanceCapacity", "iibake:sim:boot=1s"},
			[]string{"1s i-1 ended Server.InsufficientInstanceCapacity"},
		},
		"never passes": {[]string{"iibake:sim:status=never"}, []string{"4s i-1 running 10.0.0.1 100.64.0.1", "2m4s i-1 healthy=false"}},
		"dies": {
			[]string{"iibake:sim:dies-after=5m"},
			[]string{"4s i-1 running 10.0.0.1 100.64.0.1", "2m4s i-1 healthy=true", "5m4s i-1 ended "},
		},
		"sickens": {
			[]string{"iibake:sim:sick-after=5m"},
			[]string{"4s i-1 running 10.0.0.1 100.64.0.1", "2m4s i-1 healthy=true", "5m4s i-1 healthy=false"},
		},
		"never starts":   {[]string{"iibake:sim:boot=never"}, nil},
		"misspelt":       {[]string{"iibake:sim:bot=1s"}, []string{"0s i-1 ended Client.InternalError"}},
		"not of the sim": {[]string{"iibake:run=1"}, []string{"4s i-1 running 10.0.0.1 100.64.0.1", "2m4s i-1 healthy=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.Start(spec("i-1", c.tags...))
			w.clock.Advance(10 * time.Minute)
			w.want(t, c.want...)
		})
	}
}

func TestNeverHealthyAnswersNoProbe(t *testing.T) {
	w := newWorld(t, "")
	w.Start(spec("i-1", "iibake:sim:healthy=never", "iibake:sim:console=panic: no root device"))
	w.clock.Advance(time.Hour)
	if got := w.probe("HTTPS"); got != "false Target.ResponseCodeMismatch [503]" {
		t.Errorf("got %s", got)
	}
	w.want(t, "4s i-1 running 10.0.0.1 100.64.0.1", "2m4s i-1 healthy=true")
	if text := string(w.Console("i-1")); !strings.HasSuffix(text, "panic: no root device\r\n") {
		t.Errorf("the console shows %q", text)
	}
}

func TestOneInK(t *testing.T) {
	w := newWorld(t, "")
	for i := range 9 {
		group := "aws:autoscaling:groupName=" + []string{"a", "b"}[i%2]
		w.Start(spec(fmt.Sprintf("i-%d", i), group, "iibake:sim:every=3", "iibake:sim:fail=Server.InternalError"))
	}
	w.clock.Advance(4 * time.Second)
	// Of a the third is i-4, of b it is i-5.
	var failed []string
	for line := range strings.Lines(w.said.take()) {
		if strings.Contains(line, "InternalError") {
			failed = append(failed, strings.Fields(line)[1])
		}
	}
	if got := strings.Join(failed, " "); got != "i-4 i-5" {
		t.Errorf("failed: %s", got)
	}
}

func TestAddressesThatAreGivenStay(t *testing.T) {
	w := newWorld(t, "")
	s := spec("i-1")
	s.Addresses.Private = "172.31.0.5"
	w.Start(s)
	w.clock.Advance(4 * time.Second)
	w.want(t, "4s i-1 running 172.31.0.5 100.64.0.1")
}

// TestAnyCallsInAnyOrder pins what must hold whatever is called: an instance runs only after a start and before an end, and an ended one
// leaves nothing on the clock.
func TestAnyCallsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, "version: 1\nseed: 5\ndefault: { boot: 1s..9s, terminate: 1s..9s, stop: 1s..9s, healthy: 1s..9s, status: 5s~3s, dies-after: 9s..99s }")
		ids := []string{"i-1", "i-2"}
		t.Repeat(map[string]func(*rapid.T){
			"start":     func(t *rapid.T) { w.Start(spec(rapid.SampledFrom(ids).Draw(t, "id"))) },
			"stop":      func(t *rapid.T) { w.Stop(rapid.SampledFrom(ids).Draw(t, "id"), rapid.Bool().Draw(t, "force")) },
			"terminate": func(t *rapid.T) { w.Terminate(rapid.SampledFrom(ids).Draw(t, "id")) },
			"reboot":    func(t *rapid.T) { w.Reboot(rapid.SampledFrom(ids).Draw(t, "id")) },
			"wait":      func(t *rapid.T) { w.clock.Advance(time.Duration(rapid.IntRange(0, 20).Draw(t, "s")) * time.Second) },
		})
		for _, id := range ids {
			w.Terminate(id)
		}
		w.clock.Advance(2 * time.Hour)
		if n, _ := w.clock.Pending(); n != 0 {
			t.Fatalf("%d calls are left on the clock", n)
		}
		up := map[string]bool{}
		for line := range strings.Lines(w.said.take()) {
			id, what := strings.Fields(line)[1], strings.Fields(line)[2]
			switch {
			case what == "running" && up[id]:
				t.Fatalf("ran twice: %s", line)
			case strings.HasPrefix(what, "healthy") && !up[id]:
				t.Fatalf("checked while it did not run: %s", line)
			}
			up[id] = what == "running" || up[id] && what != "ended"
		}
	})
}

func BenchmarkInstances(b *testing.B) {
	w := newWorld(b, "")
	for i := range b.N {
		w.Start(spec(fmt.Sprintf("i-%d", i)))
	}
	w.clock.Advance(5 * time.Minute)
	for i := range b.N {
		w.Terminate(fmt.Sprintf("i-%d", i))
	}
	w.clock.Advance(5 * time.Minute)
}

func TestTenThousandInstances(t *testing.T) {
	w := newWorld(t, "")
	before := runtime.NumGoroutine()
	const instances = 10_000
	for i := range instances {
		w.Start(spec(fmt.Sprintf("i-%d", i)))
	}
	w.clock.Advance(5 * time.Minute)
	if n := strings.Count(w.said.take(), "healthy=true"); n != instances {
		t.Errorf("%d are healthy", n)
	}
	if more := runtime.NumGoroutine() - before; more > 0 {
		t.Errorf("they need %d goroutines", more)
	}
}

// Requests come while the clock runs: whatever they meet, an instance that was told to end never runs again.
func TestCallsBesideTheClock(t *testing.T) {
	w := newWorld(t, "version: 1\ndefault: { boot: 1s..5s, terminate: 1s..5s, dies-after: 1s..9s }")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 500 {
			w.clock.Advance(100 * time.Millisecond)
		}
	}()
	for i := range 500 {
		id := fmt.Sprintf("i-%d", i)
		w.Start(spec(id))
		w.Probe(id, compute.Check{Timeout: time.Second}, func(bool, string) {})
		w.Terminate(id)
	}
	<-done
	w.clock.Advance(2 * time.Hour)
	said := w.said.take()
	if n := strings.Count(said, "ended"); n < 500 {
		t.Errorf("%d of 500 ended", n)
	}
	if n, _ := w.clock.Pending(); n != 0 {
		t.Errorf("%d calls are left on the clock", n)
	}
}
