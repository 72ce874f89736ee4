package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/cmd/iibake/internal/uitest"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

// oven is a builder that keeps state: it bakes an image whenever the content of a template is new.
type oven struct {
	r       *record
	content map[string]string // name of the template → what it contains now
	broken  map[string]error
	baked   []string
	count   int // of all builds
}

func (o *oven) Bake(ctx context.Context, t bake.Template, _ bake.Reporter) (bake.Image, error) {
	if err := o.broken[t.Name]; err != nil {
		return bake.Image{}, err
	}
	key := bake.DigestOf([]byte(t.Name + o.content[t.Name]))
	if img, err := o.r.images.ByKey(ctx, t.Name, key); err == nil {
		return img, fmt.Errorf("%s: %w", img.Ref, bake.ErrUpToDate)
	}
	o.baked = append(o.baked, t.Name)
	o.count++
	img := bake.Image{Ref: bake.Ref{Name: t.Name, Version: fmt.Sprintf("2026.11.22-%d-gabc1234", o.count)}, Key: key, Disk: bake.DigestOf([]byte(o.content[t.Name]))}
	return o.r.images.Record(ctx, img, []bake.Package{{Name: "site", Version: o.content[t.Name], Arch: "all"}})
}

// court judges: what it holds guilty fails.
type court struct {
	guilty map[string]bool
	judged []string
}

func (c *court) judge(_ context.Context, img bake.Image, t bake.Template, _ bake.Reporter) (test.Verdict, error) {
	c.judged = append(c.judged, img.Name)
	key, err := test.Key(t)
	v := test.Verdict{Image: img.Ref, Disk: img.Disk, Tests: key, At: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), Results: []test.Result{
		{Boot: "bios", Name: "ssh", Status: test.Pass}, {Boot: "bios", Name: "goss: Port: tcp:80", Status: test.Pass},
	}}
	if c.guilty[img.Name] {
		v.Results[1].Status, v.Results[1].Detail = test.Fail, "not listening"
		v.Console = []string{"login:"}
	}
	return v, err
}

// kitchen is a catalog, an oven, a court and two templates, web on top of base.
type kitchen struct {
	oven
	court
	templates []bake.Template
}

func newKitchen(t *testing.T) *kitchen {
	t.Helper()
	r, err := openDir(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &kitchen{
		oven:  oven{r: r, content: map[string]string{"base": "1", "web": "1"}, broken: map[string]error{}},
		court: court{guilty: map[string]bool{}},
		templates: []bake.Template{
			{Name: "base", Source: bake.Source{Debian: &bake.Debian{Suite: "bookworm"}}},
			{Name: "web", Source: bake.Source{Image: "base@candidate"}},
		},
	}
}

// build runs a build, and returns what became of base and web.
func (k *kitchen) build(t *testing.T, change func(*building)) ([]*result, error) {
	t.Helper()
	plan, err := bake.NewPlan(k.templates, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.baked, k.judged = k.baked[:0:len(k.baked)], nil
	b := newBuilding(k.r, plan, bake.Discard())
	b.builder, b.judge = &k.oven, k.judge
	if change != nil {
		change(b)
	}
	err = plan.Run(t.Context(), 2, b.one)
	return b.results, err
}

func (k *kitchen) candidate(t *testing.T, name string) string {
	t.Helper()
	r, err := k.r.channels.Get(t.Context(), name, promote.Candidate)
	if errors.Is(err, bake.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.Version
}

func TestBuildBakesTestsAndNominates(t *testing.T) {
	k := newKitchen(t)
	results, err := k.build(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Status != baked || r.Verdict != passed || k.candidate(t, r.Name) != r.Version {
			t.Errorf("%+v, candidate %s", r, k.candidate(t, r.Name))
		}
	}
	if !slices.Equal(k.baked, []string{"base", "web"}) || !slices.Equal(k.judged, k.baked) {
		t.Errorf("baked %v, judged %v: parents come first", k.baked, k.judged)
	}

	results, err = k.build(t, nil)
	if err != nil || results[0].Status != upToDate || results[1].Verdict != passed || k.judged != nil {
		t.Errorf("again: %+v, judged %v, %v", results, k.judged, err)
	}
}

func TestBuildComparesPackages(t *testing.T) {
	k := newKitchen(t)
	if _, err := k.build(t, nil); err != nil {
		t.Fatal(err)
	}
	k.content["web"] = "2"
	results, err := k.build(t, nil)
	want := []bake.PackageChange{{Name: "site", Arch: "all", Old: "1", New: "2"}}
	if err != nil || !slices.Equal(results[1].Packages, want) || results[1].Previous == "" || results[0].Packages != nil {
		t.Errorf("got %+v, %v", results[1], err)
	}
}

func TestBuildJudgesAgainByOtherTests(t *testing.T) {
	k := newKitchen(t)
	if _, err := k.build(t, nil); err != nil {
		t.Fatal(err)
	}
	k.templates[1].Tests.TCP = []bake.TCPProbe{{Port: 80}}
	if _, err := k.build(t, nil); err != nil || !slices.Equal(k.judged, []string{"web"}) {
		t.Errorf("judged %v, %v", k.judged, err)
	}
}

// A commit that is taken back makes the image of before the candidate again.
func TestBuildNominatesAnOlderImage(t *testing.T) {
	k := newKitchen(t)
	first, err := k.build(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.content["web"] = "2"
	if _, err := k.build(t, nil); err != nil {
		t.Fatal(err)
	}
	k.content["web"] = "1"
	again, err := k.build(t, nil)
	if err != nil || again[1].Version != first[1].Version || k.candidate(t, "web") != first[1].Version {
		t.Errorf("got %+v, candidate %s, %v", again[1], k.candidate(t, "web"), err)
	}
}

func TestBuildStopsAtWhatFails(t *testing.T) {
	for name, c := range map[string]struct {
		prepare         func(*kitchen)
		code            int
		status, verdict string
	}{
		"bake":          {func(k *kitchen) { k.broken["base"] = errors.New("step 1: exit status 3") }, exitBake, failed, noResult},
		"refused":       {func(k *kitchen) { k.broken["base"] = fmt.Errorf("%w: dirty", bake.ErrRefused) }, exitRefused, failed, noResult},
		"no such image": {func(k *kitchen) { k.broken["base"] = fmt.Errorf("x@y: %w", bake.ErrNotFound) }, exitNotFound, failed, noResult},
		"test":          {func(k *kitchen) { k.guilty["base"] = true }, exitTest, baked, failed},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKitchen(t)
			c.prepare(k)
			results, err := k.build(t, nil)
			if code := exitCode(t.Context(), err); code != c.code {
				t.Errorf("exit code %d, want %d: %v", code, c.code, err)
			}
			if r := results[0]; r.Status != c.status || r.Verdict != c.verdict || r.Error == "" {
				t.Errorf("base: %+v", r)
			}
			if r := results[1]; r.Status != notBaked || k.candidate(t, "base") != "" {
				t.Errorf("web was touched although base failed: %+v, candidate %q", r, k.candidate(t, "base"))
			}
			delete(k.broken, "base")
			delete(k.guilty, "base")
			if results, err = k.build(t, nil); err != nil || results[1].Verdict != passed {
				t.Errorf("the next build: %+v, %v", results[1], err)
			}
		})
	}
}

func TestBuildInterrupted(t *testing.T) {
	k := newKitchen(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	plan, err := bake.NewPlan(k.templates[:1], nil)
	if err != nil {
		t.Fatal(err)
	}
	b := newBuilding(k.r, plan, bake.Discard())
	k.broken["base"] = context.Canceled
	b.builder, b.judge = &k.oven, k.judge
	if err := b.one(ctx, k.templates[0]); exitCode(ctx, err) != exitInterrupted || b.results[0].Status == failed {
		t.Errorf("got %+v, %v", b.results[0], err)
	}
}

// A build that comes while another one tests the same image waits, says so, and finds image and verdict there.
func TestBuildsOfOneImageTestItOnce(t *testing.T) {
	k := newKitchen(t)
	plan, err := bake.NewPlan(k.templates[:1], nil)
	if err != nil {
		t.Fatal(err)
	}
	judging, waiting := make(chan struct{}), make(chan struct{})
	first, second := newBuilding(k.r, plan, bake.Discard()), newBuilding(k.r, plan, bake.ReporterFunc(func(e bake.Event) {
		if strings.Contains(e.Text, "another build of base is running") {
			close(waiting)
		}
	}))
	first.builder, second.builder = &k.oven, &k.oven
	first.judge = func(ctx context.Context, img bake.Image, t bake.Template, r bake.Reporter) (test.Verdict, error) {
		close(judging)
		<-waiting
		return k.judge(ctx, img, t, r)
	}
	second.judge = func(context.Context, bake.Image, bake.Template, bake.Reporter) (test.Verdict, error) {
		return test.Verdict{}, errors.New("judged a second time")
	}
	errs := make(chan error, 1)
	go func() { errs <- first.one(t.Context(), k.templates[0]) }()
	<-judging
	if err := errors.Join(second.one(t.Context(), k.templates[0]), <-errs); err != nil {
		t.Fatal(err)
	}
	if r := second.results[0]; r.Status != upToDate || r.Verdict != passed || r.Version != first.results[0].Version {
		t.Errorf("the second build: %+v", r)
	}
}

func TestBuildWithoutTests(t *testing.T) {
	k := newKitchen(t)
	results, err := k.build(t, func(b *building) { b.skipTest = true })
	if err != nil || k.judged != nil || results[0].Verdict != noResult || k.candidate(t, "base") != "" {
		t.Errorf("%+v, judged %v, %v", results[0], k.judged, err)
	}
}

// The report in all its forms.
func TestReport(t *testing.T) {
	results := []*result{
		{Name: "base", Version: "2026.11.22-1-gabc1234", Status: upToDate, Verdict: passed, Disk: bake.DigestOf(nil), Seconds: 0.02},
		{
			Name: "web", Version: "2026.11.22-2-gabc1234", Status: baked, Verdict: failed, Disk: bake.DigestOf([]byte("web")), Seconds: 83,
			Previous: "2026.11.21-1-g1111111", Error: "one of its checks failed",
			Packages: []bake.PackageChange{{Name: "curl", Arch: "amd64", New: "8.1"}, {Name: "nginx", Arch: "amd64", Old: "1.22", New: "1.24"}},
		},
		{Name: "worker", Status: notBaked, Verdict: noResult},
	}
	dir := t.TempDir()
	actions := &ui.Actions{Output: filepath.Join(dir, "output"), Summary: filepath.Join(dir, "summary")}
	var text, machine strings.Builder
	for out, form := range map[*strings.Builder]string{&text: "text", &machine: "json"} {
		con := newConsole(streams{strings.NewReader(""), out, out})
		con.actions = nil
		if form == "text" {
			con.actions = actions
		}
		b := &building{results: results}
		if err := b.report(con, contextWith(t, form)); err != nil {
			t.Fatal(err)
		}
	}
	var parsed struct {
		Images []result `json:"images"`
	}
	if err := json.Unmarshal([]byte(machine.String()), &parsed); err != nil || parsed.Images[1].Error != "one of its checks failed" {
		t.Errorf("%v in %s", err, &machine)
	}
	output, errOutput := os.ReadFile(actions.Output)
	summary, errSummary := os.ReadFile(actions.Summary)
	if err := errors.Join(errOutput, errSummary); err != nil {
		t.Fatal(err)
	}
	uitest.Golden(t, "report", fmt.Sprintf("%s--- output\n%s--- summary\n%s", &text, output, summary))
}
