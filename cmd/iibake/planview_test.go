package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/uitest"
	"github.com/iibake/iibake/promote"
)

var planned = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func webImage(version string, stored bake.Size) *bake.Image {
	return &bake.Image{Ref: bake.Ref{Name: "web", Version: version}, Size: 2 * bake.GiB, Stored: stored, Commit: strings.Repeat("a", 40)}
}

func webMember(name string) promote.Member {
	return promote.Member{Name: name, Target: "eu", Group: "web|" + name, Image: "web", Strategy: promote.Strategy{
		Kind: promote.Rolling, MinHealthy: 100, MaxHealthy: 110, Canary: true, Checkpoints: []int{50, 100}, Soak: bake.Duration(10 * time.Minute),
		Alarms: []string{"web-5xx"}, Probes: []promote.Probe{{HTTP: "https://example.org"}},
	}}
}

// fullPlan has everything that a plan can have, but what speaks against it.
func fullPlan() planView {
	before, now := webImage("2026.11.21-1-gaaaaaaa", bake.GiB), webImage("2026.11.22-1-gbbbbbbb", bake.GiB)
	return planView{
		Plan: promote.Plan{
			Promotion: promote.Promotion{
				Channel: "production", From: &before.Ref, To: now.Ref, By: "ada", Reason: "the new page", Soak: bake.Duration(15 * time.Minute),
				Waves: [][]promote.Member{{webMember("web-canary")}, {webMember("web-eu")}},
			},
			Image: now, Before: before, Verdict: planned.Add(-26 * time.Hour),
			Packages: []bake.PackageChange{{Name: "nano", Old: "7.2"}, {Name: "nginx", Old: "1.22", New: "1.24"}, {Name: "vim", New: "9.0"}},
			Gates: []promote.Gate{
				{Name: "verdict", Open: true, Detail: "passed at 2026-11-21 10:00:00 UTC"},
				{Name: "approvals", Open: true, Detail: "by grace"},
			},
			Fleets: []promote.FleetPlan{
				{Wave: 0, Fleet: webMember("web-canary"), Preflight: promote.Preflight{
					Group: "web", Instances: 1, Estimate: bake.Duration(4 * time.Minute), Notes: []string{"it has one instance alone"},
					Current: []promote.Launch{{Template: "lt-1", Name: "web-canary", Version: "7", AMI: "ami-1", Image: &before.Ref}},
				}},
				{Wave: 1, Fleet: webMember("web-eu"), Preflight: promote.Preflight{
					Group: "web", Instances: 12, Estimate: bake.Duration(21 * time.Minute), Pins: []string{"$Latest becomes 3"},
					Current: []promote.Launch{{Template: "lt-2", Name: "web", Version: "3", Alias: "$Latest", AMI: "ami-2"}},
				}},
			},
			Publish: []string{"eu", "us"}, Estimate: bake.Duration(55 * time.Minute), Notes: []string{"production held nothing before"}, At: planned,
		},
		Commits: []bake.Change{{Commit: "bbbbbbb", Author: "Ada", Subject: "Say hello *twice* | <b>"}, {Commit: "ccccccc", Author: "Grace", Subject: "Mend it"}},
		Blocks:  &blockChange{Changed: 40, Of: 1300, Bytes: 40 << 19},
	}
}

// refused is the plan with everything that can speak against it.
func refused() planView {
	v := fullPlan()
	v.Gates[1] = promote.Gate{Name: "approvals", Detail: "0 of 1", Remedy: "approve it"}
	v.Refusals = []string{"approvals: 0 of 1: approve it", "web-eu: the group uses $Latest: pin it"}
	v.Commits, v.CommitsNote = nil, "commit aaaaaaaaaaaa: not found"
	return v
}

// back is a way back.
func back() planView {
	v := fullPlan()
	v.Promotion.From, v.Promotion.To = &v.Image.Ref, v.Before.Ref
	v.Image, v.Before = v.Before, v.Image
	v.Promotion.Back, v.Gates, v.Publish, v.Notes = true, v.Gates[:1], nil, nil
	for i := range v.Fleets {
		v.Fleets[i].Wave, v.Fleets[i].Pins, v.Fleets[i].Notes = 0, nil, nil
		v.Fleets[i].Moves = []promote.Move{{Template: "lt-1", Name: "web", From: "6", To: "7", FromAMI: "ami-0", ToAMI: "ami-1"}}
	}
	return v
}

// there is a plan that has nothing to do.
func there() planView {
	v := fullPlan()
	v.There, v.Commits, v.Packages, v.Publish, v.Fleets = true, nil, nil, nil, v.Fleets[:1]
	v.Fleets[0].There, v.Fleets[0].Notes, v.Notes = true, nil, nil
	return v
}

// bare is a plan of a channel that no fleet follows and that held nothing.
func bare() planView {
	v := fullPlan()
	v.Promotion.From, v.Before, v.Fleets, v.Blocks, v.Commits, v.Packages, v.Notes, v.Publish = nil, nil, nil, nil, nil, nil, nil, nil
	return v
}

func TestPlan(t *testing.T) {
	for name, v := range map[string]planView{"full": fullPlan(), "refused": refused(), "back": back(), "there": there(), "bare": bare()} {
		for _, form := range []string{"text", "json", "markdown"} {
			t.Run(name+"-"+form, func(t *testing.T) {
				var b strings.Builder
				if err := v.write(newConsole(streams{out: &b}), form, planned); err != nil {
					t.Fatal(err)
				}
				uitest.Golden(t, "plan-"+name+"-"+form, b.String())
			})
		}
	}
}

func TestPlanTitle(t *testing.T) {
	only, aborts := fullPlan(), fullPlan()
	only.Promotion.Only = true
	unknown := bare()
	unknown.Promotion.To.Version = ""
	lagging := fullPlan()
	lagging.Promotion.From = &lagging.Promotion.To
	aborts.Aborts, aborts.Promotion.Number = &promote.Active{}, 7
	for want, v := range map[string]planView{
		"web@production: 2026.11.21-1-gaaaaaaa → 2026.11.22-1-gbbbbbbb":                                              fullPlan(),
		"web@production: nothing → 2026.11.22-1-gbbbbbbb":                                                            bare(),
		"web@production: nothing → what was there before":                                                            unknown,
		"web@production: fleets that are not at 2026.11.22-1-gbbbbbbb":                                               lagging,
		"web@production: 2 fleets alone, to 2026.11.22-1-gbbbbbbb; production still holds web:2026.11.21-1-gaaaaaaa": only,
		"web@production#7: end the promotion to 2026.11.22-1-gbbbbbbb, and go back":                                  aborts,
	} {
		if got := v.title(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAlready(t *testing.T) {
	alone := back()
	alone.Promotion.Only, alone.Promotion.To.Version = true, ""
	alone.Promotion.Waves = [][]promote.Member{{{Name: "web-eu"}}}
	for want, v := range map[string]planView{
		"production has " + there().Promotion.To.String() + " already": there(), "web-eu has what was there before already": alone,
	} {
		if got := v.already(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestQuestion(t *testing.T) {
	half := fullPlan()
	half.Fleets[1].There = true
	for want, v := range map[string]planView{
		"replace 13 instances in 2 fleets?": fullPlan(), "roll back 13 instances in 2 fleets?": back(), "move the channel?": bare(),
		"replace 1 instance in 1 fleet?": half,
	} {
		if got := v.question(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := there().question(); got != "move the channel?" {
		t.Errorf("of fleets that have it: %q", got)
	}
}

func TestDuration(t *testing.T) {
	arrived := there()
	arrived.There = false // the channel is not there yet
	for want, v := range map[string]planView{
		"at once: no fleet follows the channel": bare(), "at once: the fleets have it already": arrived, "about 55m in 2 waves, each watched for 15m": fullPlan(),
	} {
		if got := v.duration(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRefusedPlan(t *testing.T) {
	err := refusedPlan(refused())
	if !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "there are 2 reasons") {
		t.Errorf("got %v", err)
	}
	denied := refused()
	denied.Gates, denied.Fleets, denied.Refusals = nil, nil, []string{"web-eu: " + target.ErrDenied.Error() + ": ec2:DescribeImages"}
	err = refusedPlan(denied)
	if got := hints(err); !strings.Contains(err.Error(), "ec2:DescribeImages") || len(got) != 1 || got[0] != policyHint {
		t.Errorf("got %v, %q", err, got)
	}
	err = refusedPlan(refused())
	want := []string{"iibake approve web:2026.11.22-1-gbbbbbbb production puts an approval on record", "iibake promote --pin fixes the launch template version of web-eu to a number"}
	if got := hints(err); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
	tested := gateHint("verdict", fullPlan().Promotion)
	if len(tested) != 1 || gateHint("freeze", fullPlan().Promotion) != nil {
		t.Errorf("got %q", tested)
	}
}

func TestStrategy(t *testing.T) {
	s := promote.Strategy{Kind: promote.ReplaceRootVolume, MinHealthy: 50, MaxHealthy: 100, Alarms: []string{"a", "b"}}
	if got := strategy(s); got != "root volumes 50-100 %, 2 alarms" {
		t.Errorf("got %q", got)
	}
}

// Waves have the fleets that run the image, and rules what iibake.yaml says.
func TestRules(t *testing.T) {
	p := &template.Project{
		Fleets: map[string]template.Fleet{
			"a": {Target: "eu", AutoScalingGroup: "ga", Image: "web", Refresh: template.Refresh{
				Strategy: "rolling", MinHealthy: 90, Probes: []template.Probe{{HTTP: "http://x", Tries: 2}},
			}},
			"b": {Target: "eu", AutoScalingGroup: "gb", Image: "db"},
			"c": {Target: "us", AutoScalingGroup: "gc", Image: "web"},
		},
		Channels: map[string]template.Channel{
			"staging": {Waves: [][]string{{"b"}, {"a", "b"}}, Parameter: "/{image}/ami", Freeze: []template.Freeze{{Zone: "UTC", Reason: "holidays"}}},
		},
	}
	rule, err := rulesOf(p)("web", "staging")
	if err != nil || len(rule.Waves) != 1 || len(rule.Waves[0]) != 1 || rule.Parameter != "/web/ami" || rule.Freeze[0].Reason != "holidays" {
		t.Fatalf("got %+v, %v", rule, err)
	}
	m := rule.Waves[0][0]
	if m.Name != "a" || m.Group != "ga" || m.Target != "eu" || m.Image != "web" || m.Strategy.MinHealthy != 90 || m.Strategy.Probes[0].Tries != 2 {
		t.Errorf("got %+v", m)
	}
	if _, err := rulesOf(p)("web", "production"); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if a, c := channelOf(p, "a"), channelOf(p, "c"); a != "staging" || c != "" {
		t.Errorf("got %q and %q", a, c)
	}
}
