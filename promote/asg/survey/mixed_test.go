package survey_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// mixed makes a group of four instances with a mixed instances policy, which is a fleet.
func (w *world) mixed(p *place, overrides ...astypes.LaunchTemplateOverrides) {
	w.t.Helper()
	_, err := target.AutoScaling(p.Target).CreateAutoScalingGroup(w.t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("mixed"), MinSize: aws.Int32(0), MaxSize: aws.Int32(8), DesiredCapacity: aws.Int32(4), HealthCheckGracePeriod: aws.Int32(0),
		AvailabilityZones: []string{p.Region + "a"},
		MixedInstancesPolicy: &astypes.MixedInstancesPolicy{
			LaunchTemplate: &astypes.LaunchTemplate{LaunchTemplateSpecification: p.spec("1"), Overrides: overrides},
		},
	})
	ok(w.t, err)
	w.waves = [][]promote.Member{{{Name: "mixed", Target: p.Name, Group: "mixed", Image: "web"}}}
	w.advance(5 * time.Minute)
}

// Each instance type of a mixed instances policy may have a launch template of its own, or an image.
func TestAMixedInstancesPolicy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		overrides func(w *world, p *place) []astypes.LaunchTemplateOverrides
		launches  []string // AMIs, by their number in place
		want      []string
	}{
		"one template": {
			func(*world, *place) []astypes.LaunchTemplateOverrides {
				return []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.micro")}, {InstanceType: aws.String("t3.small")}}
			},
			[]string{"1"},
			[]string{},
		},
		"two templates": {
			func(w *world, p *place) []astypes.LaunchTemplateOverrides {
				return []astypes.LaunchTemplateOverrides{
					{InstanceType: aws.String("t3.micro")},
					{InstanceType: aws.String("t3.small"), LaunchTemplateSpecification: p.spec(w.version(p, p.amis[1]))},
				}
			},
			[]string{"1", "2"},
			[]string{"launch mixed"},
		},
		"an image of its own": {
			func(_ *world, p *place) []astypes.LaunchTemplateOverrides {
				return []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.micro"), ImageId: &p.amis[1]}}
			},
			[]string{"2"},
			[]string{"launch mixed", "instances mixed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.add(home, "eu-west-1")
			w.mixed(p, c.overrides(w, p)...)
			s := w.look()
			var launches []string
			for _, l := range s.Channels[0].Fleets[0].Current {
				launches = append(launches, map[string]string{p.amis[0]: "1", p.amis[1]: "2", p.amis[2]: "3"}[l.AMI])
			}
			if !slices.Equal(launches, c.launches) || s.Channels[0].Fleets[0].Healthy != 4 {
				t.Errorf("it launches %q: %+v", launches, s.Channels[0].Fleets[0])
			}
			drifts(t, s, c.want...)
		})
	}
}

// What iibake did not make, and has not on record, only EC2 can tell of.
func TestInstancesOfAnotherImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.add(home, "eu-west-1")
	f := w.group(p, "web", 2)
	w.update(p, w.version(p, p.amis[2]))
	w.advance(5 * time.Minute)
	w.update(p, "$Latest")
	s := w.look()
	drifts(t, s, "launch "+f.Name, "instances "+f.Name, "(template "+f.Name+")")
	got := s.Channels[0].Fleets[0]
	if len(got.Running) != 1 || got.Running[0].AMI != p.amis[2] || got.Running[0].Image != nil || got.Current[0].Version != "2" || got.Current[0].AMI != p.amis[2] {
		t.Errorf("got %+v", got)
	}
}
