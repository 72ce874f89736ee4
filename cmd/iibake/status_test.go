package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/cmd/iibake/internal/uitest"
	"github.com/iibake/iibake/promote"
)

// byHand does in the cloud of a story what people do beside iibake: byhand FOLDER start IMAGE|put NAME|use GROUP
func byHand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: byhand FOLDER start IMAGE|put NAME|use GROUP")
	}
	p, ctx := processOf(ts, args), context.Background()
	h := hallOf(p)
	switch args[1] {
	case "start":
		found, err := h.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{
			Owners: []string{"self"}, Filters: []ec2types.Filter{{Name: aws.String("tag:iibake:version"), Values: args[2:]}},
		})
		ts.Check(err)
		_, err = h.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: found.Images[0].ImageId, InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		})
		ts.Check(err)
	case "put":
		client := ssm.NewFromConfig(aws.Config{
			Region: "eu-west-1", BaseEndpoint: &p.Endpoint, Credentials: credentials.NewStaticCredentialsProvider(defaultAccount, "x", ""),
		})
		ami, err := h.handmade(ctx)
		ts.Check(err)
		_, err = client.PutParameter(ctx, &ssm.PutParameterInput{Name: &args[2], Value: &ami, Overwrite: aws.Bool(true)})
		ts.Check(err)
	case "use":
		ts.Check(h.useAnother(ctx, args[2]))
	default:
		ts.Fatalf("byhand knows no %s", args[1])
	}
}

// statusNow is the time of the statuses below.
var statusNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fullStatus has everything that a status can have.
func fullStatus() promote.Status {
	old, now := bake.Ref{Name: "web", Version: "2026.11.01-1-gaaaaaaa"}, bake.Ref{Name: "web", Version: "2026.11.22-1-gbbbbbbb"}
	at := func(d time.Duration) time.Time { return statusNow.Add(-d) }
	fleet := func(name string, change func(*promote.FleetStatus)) promote.FleetStatus {
		f := promote.FleetStatus{
			Fleet: name, Target: "eu", Account: "111122223333", Region: "eu-west-1", Group: name, Desired: 3, Healthy: 3,
			Running: []promote.Version{{AMI: "ami-1", Image: &old, Instances: 3}},
		}
		change(&f)
		return f
	}
	drift := func(kind promote.DriftKind, fleet, what string, change func(*promote.Drift)) promote.Drift {
		d := promote.Drift{
			Kind: kind, What: what, Remedy: "in words", Image: "web", Channel: "production", Fleet: fleet, Target: "eu",
			Account: "111122223333", Region: "eu-west-1", Group: fleet, Want: &old,
		}
		if change != nil {
			change(&d)
		}
		return d
	}
	return promote.Status{
		At: statusNow,
		Channels: []promote.ChannelStatus{
			{Image: "web", Channel: "candidate", Holds: &now, Since: at(time.Hour), Created: at(2 * time.Hour)},
			{Image: "web", Channel: "empty", Fleets: []promote.FleetStatus{fleet("web-new", func(f *promote.FleetStatus) { f.Running[0].Image = nil })}},
			{
				Image: "web", Channel: "production", Holds: &old, Since: at(20 * 24 * time.Hour), Created: at(21 * 24 * time.Hour),
				MaxAge: bake.Duration(14 * 24 * time.Hour), Old: true, Parameter: "/web",
				UnderWay: &promote.UnderWay{
					Promotion: promote.Promotion{Channel: "production", Number: 7, From: &old, To: now, By: "ada"}, Silent: true,
					Active: promote.Active{Number: 7, Driver: "ada on laptop, process 1", Wish: promote.Proceed, Seen: at(10 * time.Minute)},
				},
				Fleets: []promote.FleetStatus{
					fleet("web-ok", func(*promote.FleetStatus) {}),
					fleet("web-moving", func(f *promote.FleetStatus) {
						f.Phase, f.Healthy = promote.Refreshing, 2
						f.Refresh = &promote.Refresh{State: promote.Replacing, Percent: 33}
						f.Running = []promote.Version{{AMI: "ami-1", Image: &old, Instances: 2}, {AMI: "ami-2", Image: &now, Instances: 1}}
					}),
					fleet("web-guessed", func(f *promote.FleetStatus) {
						f.Phase, f.Refresh = promote.Returning, &promote.Refresh{State: promote.GoingBack, Percent: 50, Estimated: true}
					}),
					fleet("web-drifted", func(f *promote.FleetStatus) { f.Running[0].Image = nil }),
					fleet("web-gone", func(f *promote.FleetStatus) { *f = promote.FleetStatus{Fleet: f.Fleet, Target: "eu", Missing: true} }),
					fleet("web-far", func(f *promote.FleetStatus) {
						*f = promote.FleetStatus{Fleet: f.Fleet, Target: "us", Unknown: "permission denied"}
					}),
					fleet("web-none", func(f *promote.FleetStatus) { f.Running, f.Desired, f.Healthy = nil, 0, 0 }),
					fleet("web-alias", func(*promote.FleetStatus) {}),
				},
			},
		},
		Rest: []promote.FleetStatus{fleet("web-rest", func(*promote.FleetStatus) {})},
		Targets: []promote.TargetStatus{
			{Target: "eu", Account: "111122223333", Region: "eu-west-1", Calls: 7},
			{Target: "us", Gaps: []promote.Gap{{Part: promote.PartAccount, Error: "permission denied: sts:AssumeRole"}}},
		},
		Drift: []promote.Drift{
			drift(promote.DriftRevoked, "", "it holds what was revoked", nil),
			drift(promote.DriftMissing, "web-gone", "there is no group", func(d *promote.Drift) { d.Want = nil }),
			drift(promote.DriftSilent, "", "nothing was heard", nil),
			drift(promote.DriftLaunch, "web-drifted", "it launches from something else", nil),
			drift(promote.DriftInstances, "web-drifted", "3 run ami-1", nil),
			drift(promote.DriftAlias, "", "the parameter differs", func(d *promote.Drift) { d.Parameter, d.AMI = "/web page", "ami-1" }),
			drift(promote.DriftAlias, "", "the parameter differs, and there is no AMI", func(d *promote.Drift) { d.Parameter = "/web" }),
			drift(promote.DriftAge, "", "it is 21 days old", nil),
			drift(promote.DriftStray, "", "2 instances", func(d *promote.Drift) { d.Channel, d.Instances = "", []string{"i-1", "i-2"} }),
			drift(promote.DriftLaunch, "web-alias", "it uses another version", func(d *promote.Drift) { d.Notice, d.Template, d.Version = true, "lt-1", "3" }),
			drift(promote.DriftRefresh, "web-alias", "a refresh runs", func(d *promote.Drift) { d.Notice = true }),
			drift(promote.DriftTemplate, "web-alias", "it uses $Latest", func(d *promote.Drift) { d.Notice = true }),
			drift(promote.DriftTemplate, "web-alias", "a version was made", func(d *promote.Drift) { d.Notice, d.Version = true, "4" }),
			drift(promote.DriftStray, "", "a group", func(d *promote.Drift) { d.Notice, d.Channel, d.Group = true, "", "other" }),
		},
	}
}

func testMender() mender {
	return mender{&template.Project{Channels: map[string]template.Channel{"production": {After: "staging"}, "staging": {}, "candidate": {}}}, func(string) string { return "" }}
}

func TestStatusForPeople(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]promote.Status{"full": fullStatus(), "nothing": {At: statusNow}} {
		for _, colour := range []bool{false, true} {
			testMender().fill(s.Drift)
			var b bytes.Buffer
			if err := (statusText{s, ui.Paint(colour)}).write(newConsole(streams{out: &b})); err != nil {
				t.Fatal(err)
			}
			if colour {
				name += "-colour"
			}
			uitest.Golden(t, "status-"+name, strings.ReplaceAll(b.String(), "\x1b", "ESC"))
		}
	}
}

func TestStatusForPrograms(t *testing.T) {
	t.Parallel()
	s := fullStatus()
	testMender().fill(s.Drift)
	var b bytes.Buffer
	if err := newConsole(streams{out: &b}).printJSON(s); err != nil {
		t.Fatal(err)
	}
	uitest.Golden(t, "status-json", b.String())
}

func TestStatusEndsWithACode(t *testing.T) {
	t.Parallel()
	well := promote.Status{Targets: []promote.TargetStatus{{Target: "eu"}}, Drift: []promote.Drift{{Notice: true}}}
	blind := well
	blind.Targets = []promote.TargetStatus{{Target: "eu", Gaps: []promote.Gap{{Part: promote.PartAccount}}}}
	drifted := blind
	drifted.Drift = []promote.Drift{{}}
	for want, s := range map[int]promote.Status{exitDone: well, exitError: blind, exitDrift: drifted} {
		if got := exitCode(t.Context(), statusFailure(s)); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if text := statusFailure(drifted).Error(); !strings.Contains(text, "1 thing to mend, 1 target could not be looked at") {
		t.Error(text)
	}
}

func TestStatusOfSome(t *testing.T) {
	t.Parallel()
	p := &template.Project{
		Images: []bake.Template{{Name: "web"}}, Channels: map[string]template.Channel{"production": {}, "candidate": {}, "empty": {}},
		Fleets: map[string]template.Fleet{"web-far": {}, "web-rest": {}, "web-ok": {}},
	}
	for operand, want := range map[string]struct{ channels, fleets, drifts, targets int }{
		"web-far":        {1, 1, 0, 1},
		"web-rest":       {0, 1, 0, 1},
		"production":     {1, 8, 12, 2},
		"web@production": {1, 8, 12, 2},
		"candidate":      {1, 0, 0, 0},
		"web":            {3, 9, 14, 2},
	} {
		s, err := only(fullStatus(), p, []string{operand})
		if err != nil {
			t.Fatal(err)
		}
		fleets := len(s.Rest)
		for _, c := range s.Channels {
			fleets += len(c.Fleets)
		}
		if len(s.Channels) != want.channels || fleets != want.fleets || len(s.Drift) != want.drifts || len(s.Targets) != want.targets {
			t.Errorf("%s: %d channels, %d fleets, %d drifts, %d targets", operand, len(s.Channels), fleets, len(s.Drift), len(s.Targets))
		}
	}
	for _, wrong := range []string{"nobody", "web@nowhere", "nobody@production"} {
		if _, err := only(fullStatus(), p, []string{wrong}); !errors.Is(err, bake.ErrNotFound) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// What is typed for a cloud that is no AWS names its address: a group of the same name may be in AWS, too.
func TestMendingElsewhere(t *testing.T) {
	t.Parallel()
	m := testMender()
	m.endpoint = func(string) string { return "http://127.0.0.1:4580" }
	got := m.commands(promote.Drift{Kind: promote.DriftRefresh, Region: "eu-west-1", Group: "it's web"})
	want := []string{`aws --endpoint-url http://127.0.0.1:4580 --region eu-west-1 autoscaling cancel-instance-refresh --auto-scaling-group-name 'it'\''s web'`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := m.commands(promote.Drift{Kind: promote.DriftAge, Image: "web", Channel: "candidate"}); !slices.Equal(got, []string{"iibake build web --refresh"}) {
		t.Errorf("got %q", got)
	}
}

// useAnother makes a group launch from a new version of its launch template.
func (h hall) useAnother(ctx context.Context, group string) error {
	ami, err := h.handmade(ctx)
	if err != nil {
		return err
	}
	made, err := h.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: &group, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &ami, InstanceType: ec2types.InstanceTypeT3Micro},
	})
	if err != nil {
		return err
	}
	_, err = h.groups.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &group, LaunchTemplate: &astypes.LaunchTemplateSpecification{
			LaunchTemplateName: &group, Version: aws.String(strconv.FormatInt(*made.LaunchTemplateVersion.VersionNumber, 10)),
		},
	})
	return err
}
