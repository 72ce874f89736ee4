package promote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

var watchTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// watched is a catalog in which production holds the first of three images, each published as the AMI of its number, and what a survey of
// the target eu finds.
type watched struct {
	t       *testing.T
	catalog catalog.Catalog
	survey  promote.Survey
	asks    []promote.Ask
	rule    promote.Rule
	gone    string // driver that is dead
}

func watchedRef(n int) bake.Ref {
	return bake.Ref{Name: "web", Version: "2026.11.0" + string(rune('0'+n)) + "-1-gabc1234"}
}

func ami(n int) string { return "ami-" + string(rune('0'+n)) }

func newWatched(t *testing.T) *watched {
	t.Helper()
	c, err := catalog.OpenDir(t.TempDir())
	w := &watched{t: t, catalog: c, rule: promote.Rule{Channel: "production"}, survey: promote.Survey{
		Target: "eu", Account: "111122223333", Region: "eu-west-1", Groups: map[string]promote.Group{},
		AMIs: map[string]bool{ami(1): true, ami(2): true}, Templates: map[string]promote.TemplateInfo{"lt-1": {Name: "web", Default: "1", Latest: "2"}},
	}}
	w.must(err)
	for n := 1; n <= 3; n++ {
		img := bake.Image{
			Ref: watchedRef(n), Key: bake.DigestOf([]byte{byte(n)}), Disk: bake.DigestOf([]byte{byte(n), 1}), Commit: strings.Repeat("a", 40),
			Created: watchTime.Add(-24 * time.Hour),
		}
		_, err := bake.NewImages(c).Record(t.Context(), img, nil)
		w.must(err)
		w.must(test.NewVerdicts(c).Record(t.Context(), test.Verdict{
			Image: img.Ref, Disk: img.Disk, At: img.Created, Results: []test.Result{{Boot: "bios", Name: "ssh", Status: test.Pass}},
		}))
		w.must(bake.NewArtifacts(c).Record(t.Context(), bake.Artifact{Image: img.Ref, Account: "111122223333", Region: "eu-west-1", AMI: ami(n), At: watchTime}))
	}
	_, err = promote.NewChannels(c).Move(t.Context(), promote.Promotion{Channel: "production", To: watchedRef(1), By: "ada", At: watchTime})
	w.must(err)
	return w
}

func (w *watched) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// fleet adds a fleet whose group launches version 1 of its launch template, and has instances of some images.
func (w *watched) fleet(name string, change func(*promote.Group), images ...int) {
	g := promote.Group{
		Name: name, Desired: len(images), Asked: true,
		Current: []promote.Launch{{Template: "lt-1", Name: "web", Version: "1", AMI: ami(1)}},
	}
	for i, n := range images {
		g.Instances = append(g.Instances, promote.Instance{ID: "i-" + string(rune('0'+i)), AMI: ami(n), Template: "lt-1", Version: "1", Healthy: true})
	}
	if change != nil {
		change(&g)
	}
	w.survey.Groups[name] = g
	w.rule.Waves = append(w.rule.Waves, []promote.Member{{Name: name, Target: "eu", Group: name, Image: "web"}})
}

func (w *watched) look() promote.Status {
	w.t.Helper()
	s, err := promote.Look(w.t.Context(), promote.StatusConfig{
		Catalog: w.catalog, Watched: []promote.Watched{{Image: "web", Rule: w.rule, Targets: []string{"eu"}}}, Now: watchTime,
		Gone: func(driver string) bool { return driver == w.gone },
		Survey: func(_ context.Context, asks []promote.Ask) []promote.Survey {
			w.asks = asks
			return []promote.Survey{w.survey}
		},
	})
	w.must(err)
	return s
}

// expect fails the test unless the drift has these kinds; notices stand in brackets.
func (w *watched) expect(s promote.Status, want ...string) {
	w.t.Helper()
	var got []string
	for _, d := range s.Drift {
		kind := string(d.Kind)
		if d.Notice {
			kind = "(" + kind + ")"
		}
		got = append(got, kind)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("got %q, want %q: %+v", got, want, s.Drift)
	}
}

// begin puts a promotion of the fleets to the second image on record, whose rollouts are in a phase.
func (w *watched) begin(phase promote.Phase, refresh string) promote.Promotion {
	w.t.Helper()
	from := watchedRef(1)
	p, _, err := promote.NewActives(w.catalog).Begin(w.t.Context(), promote.Promotion{
		Channel: "production", From: &from, To: watchedRef(2), By: "ada", At: watchTime, Waves: w.rule.Waves,
	}, "ada", watchTime)
	w.must(err)
	for _, wave := range w.rule.Waves {
		for _, m := range wave {
			_, err := promote.NewRollouts(w.catalog).Append(w.t.Context(), p, promote.Rollout{
				Promotion: p.ID(), Fleet: m, From: &from, To: watchedRef(2), AMI: ami(2), Phase: phase, Refresh: refresh, At: watchTime,
				Moves: []promote.Move{{Template: "lt-1", Name: "web", From: "1", To: "2", FromAMI: ami(1), ToAMI: ami(2)}},
			})
			w.must(err)
		}
	}
	return p
}

func TestWhatIsAsked(t *testing.T) {
	w := newWatched(t)
	w.rule.Parameter = "/web"
	w.fleet("one", nil, 1)
	w.fleet("two", nil, 1)
	w.must(promote.NewRevocations(w.catalog).Record(t.Context(), promote.Revocation{Image: watchedRef(2), At: watchTime}))
	w.begin(promote.Refreshing, "r-1")
	w.look()
	if len(w.asks) != 1 {
		t.Fatalf("%d asks for one target", len(w.asks))
	}
	a := w.asks[0]
	if !slices.Equal(a.Groups, []string{"one", "two"}) || !slices.Equal(a.Moving, a.Groups) || !slices.Equal(a.Parameters, []string{"/web"}) {
		t.Errorf("got %+v", a)
	}
	if got := a.AMIs["eu-west-1"]; !slices.Equal(got, []string{ami(2), ami(1), ami(3)}) {
		t.Errorf("what was revoked and what is held come before what is new: %v", got)
	}
	if a.Versions[promote.VersionKey("lt-1", "1")] != ami(1) || a.Versions[promote.VersionKey("lt-1", "2")] != ami(2) {
		t.Errorf("what rollouts went from and to is known: %v", a.Versions)
	}
}

// Where AWS was not asked for a refresh, the record and the instances tell how far it is.
func TestARefreshThatWasNotAskedFor(t *testing.T) {
	for phase, want := range map[promote.Phase]promote.Refresh{
		promote.Refreshing: {ID: "r-1", State: promote.Replacing, Percent: 75, Estimated: true, Since: watchTime},
		promote.Returning:  {ID: "r-1", State: promote.GoingBack, Percent: 75, Estimated: true, Since: watchTime},
	} {
		w := newWatched(t)
		w.fleet("one", func(g *promote.Group) {
			g.Asked = false
			g.Instances = append(g.Instances, promote.Instance{ID: "i-9", AMI: ami(1), Leaving: true})
		}, 1, 2, 2, 2)
		w.begin(phase, "r-1")
		s := w.look()
		f := s.Channels[0].Fleets[0]
		if f.Refresh == nil || *f.Refresh != want || !f.Unchecked || f.Phase != phase {
			t.Errorf("%s: got %+v", phase, f.Refresh)
		}
		w.expect(s)
	}
}

func TestWhoseRefreshItIs(t *testing.T) {
	for _, c := range []struct {
		phase   promote.Phase
		known   string
		foreign bool
	}{
		{promote.Refreshing, "r-1", false},
		{promote.Refreshing, "r-0", true},
		{promote.Starting, "", false},  // nobody has its id yet
		{promote.Returning, "", false}, // it was turned round before anybody had it
		{promote.Planned, "", true},
	} {
		w := newWatched(t)
		w.fleet("one", func(g *promote.Group) { g.Refresh = &promote.Refresh{ID: "r-1", State: promote.Replacing} }, 1)
		w.begin(c.phase, c.known)
		if f := w.look().Channels[0].Fleets[0]; f.Refresh.Foreign != c.foreign {
			t.Errorf("%s %s: got %+v", c.phase, c.known, f.Refresh)
		}
	}
}

// A driver that is known to be dead is told of at once; of one that nobody knows about, its silence tells.
func TestADriverThatIsDead(t *testing.T) {
	w := newWatched(t)
	w.fleet("one", nil, 1)
	w.begin(promote.Refreshing, "r-1")
	w.expect(w.look())
	w.gone = "ada"
	s := w.look()
	w.expect(s, "silent")
	if u := s.Channels[0].UnderWay; !u.Gone || u.Silent || !strings.HasPrefix(s.Drift[0].What, "ada, which drove web@production#2, is dead") {
		t.Errorf("got %+v, %+v", u, s.Drift)
	}
}

// A rollback that found its fleet there already does not make strangers of the versions that were made before.
func TestARolloutThatMovedNothing(t *testing.T) {
	w := newWatched(t)
	w.fleet("one", nil, 1)
	actives := promote.NewActives(w.catalog)
	w.must(actives.Release(t.Context(), w.begin(promote.RolledBack, "r-1"), "ada"))
	w.expect(w.look())
	from := watchedRef(1)
	p, _, err := actives.Begin(t.Context(), promote.Promotion{
		Channel: "production", From: &from, To: from, Back: true, By: "ada", At: watchTime, Waves: w.rule.Waves,
	}, "ada", watchTime)
	w.must(err)
	_, err = promote.NewRollouts(w.catalog).Append(t.Context(), p, promote.Rollout{
		Promotion: p.ID(), Fleet: w.rule.Waves[0][0], To: p.To, Phase: promote.RolledBack, At: watchTime,
		Moves: []promote.Move{{Template: "lt-1", Name: "web", From: "1", To: "1", FromAMI: ami(1), ToAMI: ami(1)}},
	})
	w.must(err)
	w.must(actives.Release(t.Context(), p, "ada"))
	w.expect(w.look())
	for rollout, want := range map[string]string{
		"":                        "somebody made version 3",
		p.ID() + "/one":           "somebody made version 3",
		"web@production#1000/one": "iibake in web@production#1000, or somebody since, made version 3",
	} {
		w.survey.Templates["lt-1"] = promote.TemplateInfo{Name: "web", Default: "1", Latest: "3", Rollout: rollout}
		s := w.look()
		if w.expect(s, "(template)"); !strings.HasPrefix(s.Drift[0].What, want) {
			t.Errorf("%s: %s", rollout, s.Drift[0].What)
		}
	}
}

// What a rollout left is told of as far as one command mends it: a mixed instances policy is more than a version.
func TestAMixedPolicyThatWasMoved(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		w := newWatched(t)
		w.fleet("one", func(g *promote.Group) {
			g.Mixed, g.Current[0].Version = mixed, "3"
		}, 1)
		p := w.begin(promote.RolledBack, "r-1")
		w.must(promote.NewActives(w.catalog).Release(t.Context(), p, "ada"))
		s := w.look()
		w.expect(s, "(launch)")
		if d := s.Drift[0]; (d.Version == "1") == mixed || !strings.Contains(d.What, "iibake left it at version 1") {
			t.Errorf("mixed %t: %+v", mixed, d)
		}
	}
}

// Without a look at launch templates nobody knows what an alias means, and nobody guesses.
func TestAnAliasThatIsNotResolved(t *testing.T) {
	w := newWatched(t)
	w.survey.Templates, w.survey.Gaps = nil, []promote.Gap{{Part: promote.PartTemplates, Error: "denied"}}
	w.fleet("one", func(g *promote.Group) {
		g.Current[0] = promote.Launch{Template: "lt-1", Name: "web", Alias: "$Latest"}
	}, 1)
	w.expect(w.look(), "(template)")
}

func TestInstancesWithWeights(t *testing.T) {
	w := newWatched(t)
	w.fleet("one", func(g *promote.Group) {
		g.Desired = 7
		g.Instances[0].Weight, g.Instances[1].Weight, g.Instances[1].Healthy = 4, 3, false
	}, 1, 1)
	s := w.look()
	w.expect(s)
	if f := s.Channels[0].Fleets[0]; f.Healthy != 4 || f.Desired != 7 || f.Running[0].Instances != 2 {
		t.Errorf("got %+v", f)
	}
}

func TestInstancesThatNobodyKnows(t *testing.T) {
	w := newWatched(t)
	w.survey.Gaps = []promote.Gap{{Part: promote.PartInstances, Error: "denied"}}
	w.fleet("one", func(g *promote.Group) {
		for i := range g.Instances {
			g.Instances[i].AMI = ""
		}
	}, 1, 1)
	s := w.look()
	w.expect(s)
	if f := s.Channels[0].Fleets[0]; s.Complete() || len(f.Running) != 1 || f.Running[0].Instances != 2 {
		t.Errorf("got %+v", f)
	}
}

// While the channel is being moved its alias follows.
func TestAnAliasThatIsBeingMoved(t *testing.T) {
	w := newWatched(t)
	w.rule.Parameter, w.survey.Parameters = "/web", map[string]string{"/web": ami(2)}
	w.expect(w.look(), "alias")
	w.begin(promote.Done, "r-1")
	w.expect(w.look(), "alias")
	head := catalog.Heads + "active/web/production"
	old, err := w.catalog.Get(t.Context(), head)
	w.must(err)
	w.must(w.catalog.Swap(t.Context(), head, old, []byte(`{"number":2,"driver":"ada","wish":"run","final":true,"seen":"2026-11-22T12:00:00Z"}`)))
	w.expect(w.look())
}

// The most urgent comes first, and a long list of instances is cut short for people.
func TestManyThingsAtOnce(t *testing.T) {
	w := newWatched(t)
	w.fleet("one", func(g *promote.Group) { g.Current[0].AMI, g.Current[0].Version = ami(3), "2" }, 3, 3, 1)
	for i := range 8 {
		w.survey.Strays = append(w.survey.Strays, promote.Instance{ID: "i-s" + string(rune('0'+i)), AMI: ami(2)})
	}
	w.survey.Strays = append(w.survey.Strays, promote.Instance{ID: "i-g", AMI: ami(2), Group: "other"})
	w.survey.AMIs[ami(3)] = false
	w.must(promote.NewRevocations(w.catalog).Record(t.Context(), promote.Revocation{Image: watchedRef(3), At: watchTime, Reason: "CVE"}))
	s := w.look()
	w.expect(s, "revoked", "gone", "launch", "instances", "stray", "(stray)")
	if d := s.Drift[4]; !strings.Contains(d.What, "i-s4 and 3 more") || len(d.Instances) != 8 {
		t.Errorf("got %+v", d)
	}
	if d := s.Drift[3]; !slices.Equal(d.Instances, []string{"i-0", "i-1"}) || !strings.Contains(d.What, "of 3 instances 2 run "+watchedRef(3).String()) {
		t.Errorf("got %+v", d)
	}
	if s.Urgent() != 5 {
		t.Errorf("%d are urgent", s.Urgent())
	}
}

func TestTheCatalogFails(t *testing.T) {
	w := newWatched(t)
	broken := errors.New("the disk is gone")
	for n := 0; ; n++ {
		f := &failing{Catalog: w.catalog, after: n, err: broken}
		_, err := promote.Look(t.Context(), promote.StatusConfig{
			Catalog: f, Watched: []promote.Watched{{Image: "web", Rule: w.rule}}, Now: watchTime,
			Survey: func(context.Context, []promote.Ask) []promote.Survey { return nil },
		})
		if f.after >= 0 {
			w.must(err)
			return // there are no more calls
		}
		if !errors.Is(err, broken) {
			t.Fatalf("call %d of the catalog: %v", n, err)
		}
	}
}

// failing is a catalog that fails once, after some calls.
type failing struct {
	catalog.Catalog

	after int
	err   error
}

func (f *failing) Get(ctx context.Context, key string) ([]byte, error) {
	if f.after--; f.after == -1 {
		return nil, f.err
	}
	return f.Catalog.Get(ctx, key)
}

func (f *failing) List(ctx context.Context, prefix string) ([]string, error) {
	if f.after--; f.after == -1 {
		return nil, f.err
	}
	return f.Catalog.List(ctx, prefix)
}
