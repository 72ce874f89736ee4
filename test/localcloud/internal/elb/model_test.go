package elb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/elb"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// TestTargetsKeepTheirPromises does whatever comes to one group and its instances, and looks at all of them after each step.
func TestTargetsKeepTheirPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		m := &model{world: w, group: w.group("web"), known: map[string]bool{}, drains: map[string]time.Time{}, up: map[string]bool{}}
		for i := range 4 {
			m.up[fmt.Sprintf("i-%d", i)] = true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":           m.check,
			"register":   m.register,
			"deregister": m.deregister,
			"listen":     m.listen,
			"instance":   m.change,
			"ail":        m.ail,
			"wait":       func(rt *rapid.T) { m.clock.Advance(time.Duration(rapid.IntRange(1, 200).Draw(rt, "s")) * time.Second) },
			"restart":    func(*rapid.T) { m.restartWith(m.prober) },
		})
	})
}

type model struct {
	*world
	group    string
	balancer string
	known    map[string]bool      // targets that do not drain
	drains   map[string]time.Time // until when
	up       map[string]bool      // instances that run
}

func (m *model) pick(rt *rapid.T) string {
	return fmt.Sprintf("i-%d", rapid.IntRange(0, 3).Draw(rt, "instance"))
}

func (m *model) register(rt *rapid.T) {
	id := m.pick(rt)
	if m.up[id] {
		m.world.register(m.group, id)
		m.known[id] = true
		delete(m.drains, id)
	}
}

func (m *model) deregister(rt *rapid.T) {
	id := m.pick(rt)
	was := m.health(m.group, id)
	m.world.deregister(m.group, id)
	if m.known[id] && !strings.HasPrefix(was, "unused") {
		m.drains[id] = m.clock.Now().Add(300 * time.Second)
	}
	delete(m.known, id)
}

func (m *model) listen(*rapid.T) {
	if m.balancer == "" {
		m.balancer, _ = m.world.balancer("lb", m.group)
		return
	}
	_, err := m.client.DeleteLoadBalancer(m.Context(), &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &m.balancer})
	m.must(err)
	m.balancer = ""
}

func (m *model) change(rt *rapid.T) {
	id := m.pick(rt)
	name := rapid.SampledFrom([]ec2types.InstanceStateName{"running", "stopping", "stopped", "shutting-down", "terminated"}).Draw(rt, "state")
	m.instance(id, name)
	m.up[id] = name == "running"
	if name == "terminated" {
		delete(m.known, id)
		delete(m.drains, id)
	}
}

func (m *model) ail(rt *rapid.T) {
	m.prober.bad[m.pick(rt)] = rapid.SampledFrom([]string{"", "Target.Timeout", "Target.ResponseCodeMismatch: 500", "refused"}).Draw(rt, "reason")
}

func (m *model) check(rt *rapid.T) {
	ids := []string{"i-0", "i-1", "i-2", "i-3"}
	out, err := m.client.DescribeTargetHealth(m.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &m.group, Targets: targets(ids)})
	m.must(err)
	for i, id := range ids {
		h := out.TargetHealthDescriptions[i].TargetHealth
		got := strings.TrimSpace(string(h.State) + " " + string(h.Reason))
		until, drains := m.drains[id]
		var want []string
		switch {
		case drains && m.clock.Now().Before(until):
			want = []string{"draining Target.DeregistrationInProgress"}
		case !m.known[id]:
			want = []string{"unused Target.NotRegistered"}
		case !m.up[id]:
			want = []string{"unused Target.InvalidState"}
		case m.balancer == "":
			want = []string{"unused Target.NotInUse"}
		default:
			want = []string{
				"healthy", "initial Elb.RegistrationInProgress", "initial Elb.InitialHealthChecking",
				"unhealthy Target.Timeout", "unhealthy Target.FailedHealthChecks", "unhealthy Target.ResponseCodeMismatch",
			}
		}
		if !slices.Contains(want, got) {
			rt.Fatalf("%s is %q, want one of %q", id, got, want)
		}
	}
	m.checkRecords(rt)
}

// checkRecords checks that no target that is not checked keeps a probe, by what is asked in a minute.
func (m *model) checkRecords(rt *rapid.T) {
	m.must(m.store.View(region, func(r *state.Region) error {
		if n := len(r.TargetGroups.Get(m.group).Targets); n > len(m.known)+len(m.drains) {
			rt.Fatalf("%d targets, want at most %d", n, len(m.known)+len(m.drains))
		}
		return nil
	}))
	if got, most := m.elb.Probes(), len(m.known); got > most {
		rt.Fatalf("%d probes for %d targets", got, most)
	}
}

// BenchmarkHour checks 20,000 targets every 30 seconds for an hour.
func BenchmarkHour(b *testing.B) {
	for b.Loop() {
		w := newBenchWorld(b)
		w.Advance(time.Hour)
	}
}

// well answers that all is well.
type well struct{}

func (well) Probe(_ string, _ compute.Check, done func(bool, string)) { done(true, "") }

// newBenchWorld returns the clock of a service with 1,000 groups in use of 20 targets each.
func newBenchWorld(b *testing.B) *clock.Virtual {
	b.Helper()
	c := clock.NewVirtual(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))
	store := state.New(c)
	service := elb.New(store, well{})
	err := store.Update(region, func(r *state.Region) error {
		r.LoadBalancers.Put("lb", &state.LoadBalancer{LoadBalancer: types.LoadBalancer{AvailabilityZones: []types.AvailabilityZone{{ZoneName: aws.String("a")}}}})
		for g := range 1000 {
			arn := fmt.Sprint("group", g)
			r.TargetGroups.Put(arn, &state.TargetGroup{Targets: map[string]state.Target{}, TargetGroup: types.TargetGroup{
				TargetGroupArn: &arn, LoadBalancerArns: []string{"lb"}, Port: aws.Int32(80), HealthCheckPort: aws.String("traffic-port"), HealthCheckProtocol: "HTTP",
				HealthCheckIntervalSeconds: aws.Int32(30), HealthCheckTimeoutSeconds: aws.Int32(5), HealthyThresholdCount: aws.Int32(5), UnhealthyThresholdCount: aws.Int32(2),
			}})
			var ids []string
			for i := range 20 {
				id := fmt.Sprintf("i-%d-%d", g, i)
				ids = append(ids, id)
				r.Instances.Put(id, &state.Instance{Instance: ec2types.Instance{InstanceId: &id, Placement: &ec2types.Placement{AvailabilityZone: aws.String("a")}}})
			}
			service.RegisterTargets(r, arn, ids)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return c
}
