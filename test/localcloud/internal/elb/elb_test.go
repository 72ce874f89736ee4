package elb_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/elb"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	region  = "eu-west-1"
	account = "111122223333"
	vpc     = "vpc-0123456789abcdef0"
)

// accounts gives every access key the account of its name.
type accounts struct{}

func (accounts) Identify(_ context.Context, accessKey, _ string) (wire.Identity, error) {
	return wire.Identity{Account: accessKey[4:16], ARN: "arn:aws:iam::" + accessKey[4:16] + ":user/test"}, nil
}

// prober answers as it is told, and remembers whom it asked.
type prober struct {
	clock  clock.Clock
	bad    map[string]string // reasons, by instance
	asked  map[string][]time.Time
	checks map[string]compute.Check
}

func (p *prober) Probe(id string, c compute.Check, done func(bool, string)) {
	p.asked[id], p.checks[id] = append(p.asked[id], p.clock.Now()), c
	done(p.bad[id] == "", p.bad[id])
}

// world is the service with a client and instances i-0 to i-9 in two zones.
type world struct {
	*testing.T
	clock  *clock.Virtual
	store  *state.Store
	prober *prober
	elb    *elb.Service
	client *elbv2.Client
	other  *elbv2.Client // of another account
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: clock.NewVirtual(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))}
	w.store = state.New(w.clock)
	w.prober = &prober{clock: w.clock, bad: map[string]string{}, asked: map[string][]time.Time{}, checks: map[string]compute.Check{}}
	w.start()
	w.update(func(r *state.Region) {
		r.VPCs.Put(vpc, &state.VPC{Vpc: ec2types.Vpc{VpcId: aws.String(vpc), OwnerId: aws.String(account)}})
		for i, zone := range []string{"a", "b"} {
			id := fmt.Sprintf("subnet-%d", i)
			r.Subnets.Put(id, &state.Subnet{Subnet: ec2types.Subnet{
				SubnetId: aws.String(id), VpcId: aws.String(vpc), OwnerId: aws.String(account), AvailabilityZone: aws.String(region + zone),
			}})
		}
		r.SecurityGroups.Put("sg-0", &state.SecurityGroup{SecurityGroup: ec2types.SecurityGroup{GroupId: aws.String("sg-0"), OwnerId: aws.String(account)}})
	})
	for i := range 10 {
		w.instance(fmt.Sprintf("i-%d", i), ec2types.InstanceStateNameRunning)
	}
	return w
}

func (w *world) start() {
	w.elb = elb.New(w.store, w.prober)
	w.serve()
}

// serve puts a gateway in front of the service.
func (w *world) serve() {
	svc := wire.NewService("elasticloadbalancing")
	w.elb.Register(svc)
	g := wire.NewGateway(wire.Options{Services: []*wire.Service{svc}, Accounts: accounts{}, Clock: w.clock})
	if err := g.Check(); err != nil {
		w.Fatal(err)
	}
	w.client, w.other = client(g, account), client(g, "999988887777")
}

func client(g *wire.Gateway, account string) *elbv2.Client {
	return elbv2.New(elbv2.Options{
		Region: region, BaseEndpoint: aws.String("http://cloud.test"), HTTPClient: &http.Client{Transport: g}, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA" + account, SecretAccessKey: "secret"}, nil
		}),
	})
}

func (w *world) update(f func(r *state.Region)) {
	w.Helper()
	if err := w.store.Update(region, func(r *state.Region) error { f(r); return nil }); err != nil {
		w.Fatal(err)
	}
}

// instance brings an instance into a state, and tells the service.
func (w *world) instance(id string, name ec2types.InstanceStateName) {
	w.Helper()
	w.update(func(r *state.Region) {
		in := &state.Instance{Account: account, Instance: ec2types.Instance{
			InstanceId: aws.String(id), VpcId: aws.String(vpc), State: &ec2types.InstanceState{Name: name},
			Placement: &ec2types.Placement{AvailabilityZone: aws.String(region + "a")},
		}}
		r.Instances.Put(id, in)
		w.elb.InstanceChanged(r, in)
	})
}

// group makes a target group that is checked every ten seconds.
func (w *world) group(name string) string {
	w.Helper()
	out, err := w.client.CreateTargetGroup(w.Context(), &elbv2.CreateTargetGroupInput{
		Name: &name, Protocol: types.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: aws.String(vpc),
		HealthCheckIntervalSeconds: aws.Int32(10), HealthyThresholdCount: aws.Int32(3), UnhealthyThresholdCount: aws.Int32(2), HealthCheckPath: aws.String("/up"),
	})
	w.must(err)
	return *out.TargetGroups[0].TargetGroupArn
}

// balancer makes a balancer with a listener that forwards to a group, and returns their ARNs.
func (w *world) balancer(name, group string) (balancer, listener string) {
	w.Helper()
	b, err := w.client.CreateLoadBalancer(w.Context(), &elbv2.CreateLoadBalancerInput{Name: &name, Subnets: []string{"subnet-0", "subnet-1"}})
	w.must(err)
	arn := b.LoadBalancers[0].LoadBalancerArn
	l, err := w.client.CreateListener(w.Context(), &elbv2.CreateListenerInput{
		LoadBalancerArn: arn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: forward(group),
	})
	w.must(err)
	return *arn, *l.Listeners[0].ListenerArn
}

func forward(group string) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: aws.String(group)}}
}

func (w *world) register(group string, ids ...string) {
	w.Helper()
	_, err := w.client.RegisterTargets(w.Context(), &elbv2.RegisterTargetsInput{TargetGroupArn: &group, Targets: targets(ids)})
	w.must(err)
}

func (w *world) deregister(group string, ids ...string) {
	w.Helper()
	_, err := w.client.DeregisterTargets(w.Context(), &elbv2.DeregisterTargetsInput{TargetGroupArn: &group, Targets: targets(ids)})
	w.must(err)
}

func targets(ids []string) []types.TargetDescription {
	var list []types.TargetDescription
	for _, id := range ids {
		list = append(list, types.TargetDescription{Id: aws.String(id)})
	}
	return list
}

// health returns what is said of an instance, as STATE REASON: DESCRIPTION.
func (w *world) health(group, id string) string {
	w.Helper()
	out, err := w.client.DescribeTargetHealth(w.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &group, Targets: targets([]string{id})})
	w.must(err)
	h := out.TargetHealthDescriptions[0].TargetHealth
	if h.State == types.TargetHealthStateEnumHealthy && h.Reason == "" && h.Description == nil {
		return "healthy"
	}
	return fmt.Sprintf("%s %s: %s", h.State, h.Reason, aws.ToString(h.Description))
}

func (w *world) wantHealth(group, id, want string) {
	w.Helper()
	if got := w.health(group, id); got != want {
		w.Errorf("health of %s is %q, want %q", id, got, want)
	}
}

// registered returns the targets of a group.
func (w *world) registered(group string) []string {
	w.Helper()
	out, err := w.client.DescribeTargetHealth(w.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &group})
	w.must(err)
	ids := []string{}
	for _, d := range out.TargetHealthDescriptions {
		ids = append(ids, *d.Target.Id)
	}
	slices.Sort(ids)
	return ids
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// wantError checks the code of an error, and that its message holds a text.
func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Errorf("error is %v, want %s", err, code)
		return
	}
	if e.ErrorCode() != code || text != "" && e.ErrorMessage() != text {
		t.Errorf("error is %s: %q, want %s: %q", e.ErrorCode(), e.ErrorMessage(), code, text)
	}
}

// restartWith ends the process and starts another one over the same records, at the same time.
func (w *world) restartWith(p elb.Prober) {
	w.Helper()
	old := w.store
	w.clock = clock.NewVirtual(w.clock.Now())
	w.prober.clock = w.clock
	w.store = state.New(w.clock)
	copyRegion(w, old)
	w.elb = elb.New(w.store, p)
	w.serve()
	w.elb.Resume(region)
}

// copyRegion copies the records, as a restart would read them.
func copyRegion(w *world, old *state.Store) {
	w.Helper()
	w.must(old.View(region, func(from *state.Region) error {
		w.update(func(to *state.Region) {
			put(&from.Instances, &to.Instances)
			put(&from.VPCs, &to.VPCs)
			put(&from.Subnets, &to.Subnets)
			put(&from.TargetGroups, &to.TargetGroups)
			put(&from.LoadBalancers, &to.LoadBalancers)
		})
		return nil
	}))
}

func put[T any](from, to *state.Table[T]) {
	for key, row := range from.All() {
		copied := *row
		to.Put(key, &copied)
	}
}
