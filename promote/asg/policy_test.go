package asg_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/promote"
)

// What AWS documents of groups whose instance types are chosen by their attributes, in the group's policy or in the template: they have no refresh to a
// configuration.
func TestInstanceTypesByAttributes(t *testing.T) {
	for name, c := range map[string]struct{ from, to string }{
		"policy":   {"<member><InstanceType>t3.small</InstanceType></member>", "<member><InstanceRequirements><VCpuCount><Min>1</Min></VCpuCount></InstanceRequirements></member>"},
		"template": {"<instanceType>t3.micro</instanceType>", "<instanceRequirements><vCpuCount><min>1</min></vCpuCount></instanceRequirements>"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			if name == "policy" {
				w.addGroup(2, mixed(w, []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.micro")}, {InstanceType: aws.String("t3.small")}}))
			} else {
				w.addGroup(2)
			}
			p, err := w.fleet(strategy()).Preflight(t.Context(), w.query())
			if err != nil || len(p.Refusals) > 0 {
				t.Fatalf("before: %q, %v", p.Refusals, err)
			}
			p, err = w.fleetThrough(strategy(), w.rewrite(c.from, c.to, 100)).Preflight(t.Context(), w.query())
			if err != nil || len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], "by their attributes") {
				t.Errorf("got %q, %v", p.Refusals, err)
			}
		})
	}
}

// A group of which one instance is all has no minimum.
func TestAWeightThatIsAll(t *testing.T) {
	for weight, refused := range map[string]bool{"2": false, "4": true} {
		w := newWorld(t, "")
		w.addGroup(4, mixed(w, []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.micro"), WeightedCapacity: aws.String("1")}}))
		ask := func(s promote.Strategy) []string {
			f := w.fleetThrough(s, w.rewrite("<WeightedCapacity>1</WeightedCapacity>", "<WeightedCapacity>"+weight+"</WeightedCapacity>", 100))
			p, err := f.Preflight(t.Context(), w.query())
			ok(t, err)
			return p.Refusals
		}
		got := ask(strategy())
		if (len(got) == 1 && strings.Contains(got[0], "a weight of "+weight)) != refused {
			t.Errorf("weight %s: %q", weight, got)
		}
		s := strategy()
		s.MinHealthy, s.MaxHealthy = 0, 100
		if got := ask(s); len(got) > 0 {
			t.Errorf("with no minimum: %q", got)
		}
	}
}
