package promote_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

func TestAskHTTP(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/bad":
			http.Error(w, "database\nis down", http.StatusInternalServerError)
		default:
			_, _ = w.Write([]byte("web 2 is well"))
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	for name, c := range map[string]struct {
		probe promote.Probe
		want  string // of the error; empty for none
	}{
		"well":            {promote.Probe{HTTP: server.URL}, ""},
		"contains":        {promote.Probe{HTTP: server.URL, Contains: "web 2"}, ""},
		"contains not":    {promote.Probe{HTTP: server.URL, Contains: "web 3"}, `does not contain "web 3": web 2 is well`},
		"status":          {promote.Probe{HTTP: server.URL + "/bad"}, "status 500, not 200: database is down"},
		"an empty answer": {promote.Probe{HTTP: server.URL + "/empty"}, "status 204, not 200"},
		"nothing in it":   {promote.Probe{HTTP: server.URL + "/empty", Status: 204, Contains: "x"}, `does not contain "x"`},
		"another status":  {promote.Probe{HTTP: server.URL + "/bad", Status: 500}, ""},
		"a redirection":   {promote.Probe{HTTP: server.URL + "/moved"}, "status 302, not 200"},
		"it is wanted":    {promote.Probe{HTTP: server.URL + "/moved", Status: 302}, ""},
		"no answer":       {promote.Probe{HTTP: server.URL + "/slow", Timeout: bake.Duration(20 * time.Millisecond)}, "no answer within 20ms"},
		"nobody is there": {promote.Probe{HTTP: "http://127.0.0.1:1/"}, "connection refused"},
		"no address":      {promote.Probe{HTTP: "http://%zz/"}, "invalid URL escape"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantProbe(t, c.probe.Ask(t.Context(), member("east")), c.want)
		})
	}
}

func wantProbe(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.HasSuffix(err.Error(), ": ")) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestAskCommand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		argv []string
		want string
	}{
		"well":        {[]string{"true"}, ""},
		"not well":    {[]string{"sh", "-c", "echo it is; echo down >&2; exit 3"}, "exit status 3: it is down"},
		"environment": {[]string{"sh", "-c", `test "$IIBAKE_FLEET $IIBAKE_GROUP $IIBAKE_TARGET" = "east east eu"`}, ""},
		"too long":    {[]string{"sleep", "60"}, "no answer within 50ms"},
		"silent":      {[]string{"false"}, "exit status 1"},
		"not there":   {[]string{"/no/such/program"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := promote.Probe{Command: c.argv}
			if name == "too long" {
				p.Timeout = bake.Duration(50 * time.Millisecond)
			}
			wantProbe(t, p.Ask(t.Context(), member("east")), c.want)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (promote.Probe{Command: []string{"sleep", "60"}}).Ask(ctx, member("east")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// probing lets every fleet be asked, and answers as f says.
func (s *stage) probing(f func(fleet string) error) *[]string {
	var asked []string
	for i, wave := range s.rule.Waves {
		for j := range wave {
			s.rule.Waves[i][j].Strategy.Probes = []promote.Probe{{HTTP: "http://web/", Tries: 2}}
		}
	}
	s.probe = func(m promote.Member, _ promote.Probe) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		asked = append(asked, m.Name)
		return f(m.Name)
	}
	return &asked
}

func TestProbes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	once := true
	asked := s.probing(func(string) error {
		defer func() { once = false }()
		if once {
			return errors.New("a hiccup")
		}
		return nil
	})
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	if n := strings.Count(strings.Join(*asked, " "), "west"); n < 4 { // one alone, half of them, all of them, and at the end
		t.Errorf("west was asked %d times", n)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// A probe that fails at the first checkpoint lets no second instance have the image.
func TestProbeFails(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	most := 0
	s.yard.onTick = func() {
		s.yard.mu.Lock()
		defer s.yard.mu.Unlock()
		n := 0
		for _, v := range s.yard.groups["canary"].instances {
			if versionOf(s.yard.groups["canary"].ami(v)) == "2" {
				n++
			}
		}
		most = max(most, n)
	}
	asked := s.probing(func(string) error { return errors.New("the page is blank") })
	o, err := s.spawn(0, none).promoted(2, nil)
	if o.Result != promote.Reverted || !strings.Contains(o.Reason, "canary: probe http://web/: the page is blank") {
		t.Errorf("%+v, %v", o, err)
	}
	if most != 1 || len(*asked) != 2 {
		t.Errorf("%d instances had the image, the probe was asked %d times", most, len(*asked))
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
}

// What arrived well and falls ill in the soak is brought back.
func TestProbeFailsInTheSoak(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	arrived := func() bool {
		rs := s.yard.groups["canary"].refreshes
		return len(rs) == 2 && rs[1].state == promote.Succeeded && s.yard.now.Sub(rs[1].began) > 2*time.Minute
	}
	s.probing(func(string) error {
		s.yard.mu.Lock()
		defer s.yard.mu.Unlock()
		if arrived() {
			return errors.New("out of memory")
		}
		return nil
	})
	if o, err := s.spawn(0, none).promoted(2, nil); o.Result != promote.Reverted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
}

// Probes that fail because of what the fleet has do not keep it from going back to what is well.
func TestRollbackOfAnImageThatIsIll(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	s.probing(func(fleet string) error {
		if got := s.yard.running(fleet); !slices.Equal(got, []string{"1"}) {
			return errors.New("the page is blank")
		}
		return nil
	})
	s.rolledBack(t, nil)
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
}

// What the fleets go back to may be ill, too.
func TestRollbackToAnImageThatIsIll(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	s.probing(func(string) error { return errors.New("the page is blank") })
	o, err := s.spawn(0, none).rolledBack(nil)
	if err == nil || o.Result != promote.Stopped || !strings.Contains(o.Reason, "the page is blank") {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantHeld(t, "2")
	s.wantOver(t)
}

// A fleet that is scaled in to nothing has nobody who could answer: that is no fault of the image.
func TestProbesOfAnEmptyFleet(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.yard.groups["east"].instances = nil
	asked := s.probing(func(fleet string) error {
		if fleet == "east" {
			return errors.New("service unavailable")
		}
		return nil
	})
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	if slices.Contains(*asked, "east") || !slices.Contains(*asked, "west") {
		t.Errorf("asked %v", *asked)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}
