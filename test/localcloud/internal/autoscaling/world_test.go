package autoscaling_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling"
	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	subnetA = "subnet-0aaaaaaaaaaaaaaaa"
	subnetB = "subnet-0bbbbbbbbbbbbbbbb"
	targets = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"
)

// world is a region with a launch template of two versions, and two subnets.
type world struct {
	testing.TB
	clock  *clock.Virtual
	store  *state.Store
	ec2    *ec2Fake
	elb    *elbFake
	client *as.Client
	start  time.Time

	service *autoscaling.Service
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, clock: clock.NewVirtual(time.Date(2026, 9, 27, 14, 41, 58, 400e6, time.UTC))}
	w.start = w.clock.Now()
	w.store = state.New(w.clock)
	_ = w.store.Update(region, func(r *state.Region) error {
		furnish(r)
		return nil
	})
	w.serve()
	return w
}

// serve puts a new service in front of the records.
func (w *world) serve() {
	w.ec2 = &ec2Fake{store: w.store, boot: 4 * time.Second, end: 5 * time.Second, replaced: map[string]string{}, made: w.made()}
	w.elb = &elbFake{registered: map[string]bool{}, health: map[string]elbtypes.TargetHealthStateEnum{}}
	w.connect(autoscaling.New(w.store, w.ec2, w.elb))
}

// connect gives the world a client of a service.
func (w *world) connect(s *autoscaling.Service) {
	w.service = s
	svc := wire.NewService("autoscaling")
	w.service.Register(svc)
	g := wire.NewGateway(wire.Options{Services: []*wire.Service{svc}, Accounts: everyone{}, Clock: w.clock})
	w.client = as.NewFromConfig(aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(account, "secret", ""),
		HTTPClient: &http.Client{Transport: g}, BaseEndpoint: aws.String("http://localhost"), RetryMaxAttempts: 1,
	})
}

// made is how many instances were launched so far.
func (w *world) made() int {
	if w.ec2 == nil {
		return 0
	}
	return w.ec2.made
}

func furnish(r *state.Region) {
	for id, zone := range map[string]string{subnetA: "a", subnetB: "b"} {
		s := &state.Subnet{}
		s.SubnetId, s.OwnerId = aws.String(id), aws.String(account)
		s.AvailabilityZone, s.AvailabilityZoneId = aws.String("us-east-1"+zone), aws.String("use1-az"+map[string]string{"a": "1", "b": "2"}[zone])
		r.Subnets.Put(id, s)
	}
	r.LaunchTemplates.Put("lt-0aaaaaaaaaaaaaaaa", template("lt-0aaaaaaaaaaaaaaaa", "web", 2, "ami-00000000000000011"))
	r.LaunchTemplates.Put("lt-0bbbbbbbbbbbbbbbb", template("lt-0bbbbbbbbbbbbbbbb", "param", 1, "resolve:ssm:/web"))
	for _, id := range []string{"ami-00000000000000011", "ami-00000000000000012"} {
		i := &state.Image{}
		i.ImageId = aws.String(id)
		i.BlockDeviceMappings = []ec2types.BlockDeviceMapping{{Ebs: &ec2types.EbsBlockDevice{}}}
		r.Images.Put(id, i)
	}
	r.TargetGroups.Put(targets, &state.TargetGroup{Account: account})
}

func template(id, name string, versions int64, image string) *state.LaunchTemplate {
	t := &state.LaunchTemplate{Account: account}
	t.LaunchTemplateId, t.LaunchTemplateName = &id, &name
	t.DefaultVersionNumber, t.LatestVersionNumber = aws.Int64(1), &versions
	for n := range versions {
		t.Versions = append(t.Versions, ec2types.LaunchTemplateVersion{
			LaunchTemplateId: &id, VersionNumber: aws.Int64(n + 1), LaunchTemplateData: &ec2types.ResponseLaunchTemplateData{ImageId: &image},
		})
	}
	return t
}

// must is for calls that work.
func must[T any](out T, err error) T {
	if err != nil {
		panic(err)
	}
	return out
}

// refused checks the code and the message of an error.
func (w *world) refused(err error, code, message string) {
	w.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
		w.Errorf("got %v\nwant %s: %s", err, code, message)
	}
}

// at moves the clock to a time after the last begin.
func (w *world) at(seconds float64) {
	w.clock.Advance(w.start.Add(time.Duration(seconds * float64(time.Second))).Sub(w.clock.Now()))
}

func (w *world) begin() { w.start = w.clock.Now() }

// create makes a group of n instances in service.
func (w *world) create(name string, n int32, change ...func(*as.CreateAutoScalingGroupInput)) {
	w.Helper()
	in := &as.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(n + 1), DesiredCapacity: &n, VPCZoneIdentifier: aws.String(subnetA),
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-0aaaaaaaaaaaaaaaa"), Version: aws.String("1")},
	}
	for _, f := range change {
		f(in)
	}
	must(w.client.CreateAutoScalingGroup(w.Context(), in))
	w.clock.Advance(30 * time.Second)
	w.begin()
}

func (w *world) group(name string) astypes.AutoScalingGroup {
	w.Helper()
	out := must(w.client.DescribeAutoScalingGroups(w.Context(), &as.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}}))
	if len(out.AutoScalingGroups) == 0 {
		return astypes.AutoScalingGroup{}
	}
	return out.AutoScalingGroups[0]
}

// instances writes those of the group g: the last digit of the id, state, version.
func (w *world) instances() string {
	w.Helper()
	var all []string
	for _, i := range w.group("g").Instances {
		id := strings.TrimLeft(strings.TrimPrefix(*i.InstanceId, "i-"), "0")
		all = append(all, fmt.Sprintf("%s %s v%s", id, i.LifecycleState, *i.LaunchTemplate.Version))
	}
	return strings.Join(all, ", ")
}

func (w *world) expectInstances(want string) {
	w.Helper()
	if got := w.instances(); got != want {
		w.Errorf("at +%.1f s: %s\nwant: %s", w.clock.Now().Sub(w.start).Seconds(), got, want)
	}
}

// activities writes those of the group g, newest first.
func (w *world) activities() []astypes.Activity {
	w.Helper()
	return must(w.client.DescribeScalingActivities(w.Context(), &as.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("g")})).Activities
}

func (w *world) refresh() astypes.InstanceRefresh {
	w.Helper()
	return must(w.client.DescribeInstanceRefreshes(w.Context(), &as.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("g")})).InstanceRefreshes[0]
}

// expectRefresh checks what is told of the newest refresh of the group g at a time.
func (w *world) expectRefresh(seconds float64, want string) {
	w.Helper()
	w.at(seconds)
	r := w.refresh()
	got := string(r.Status)
	if r.PercentageComplete != nil {
		got += fmt.Sprintf(" %d%% %d", *r.PercentageComplete, *r.InstancesToUpdate)
	}
	if r.StatusReason != nil {
		got += " " + *r.StatusReason
	}
	if got != want {
		w.Errorf("at +%.1f s: %s\nwant: %s", seconds, got, want)
	}
}

func version(n string) *astypes.DesiredConfiguration {
	return &astypes.DesiredConfiguration{LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-0aaaaaaaaaaaaaaaa"), Version: &n}}
}

func (w *world) startRefresh(in *as.StartInstanceRefreshInput) string {
	w.Helper()
	return *must(w.client.StartInstanceRefresh(w.Context(), in)).InstanceRefreshId
}

func id(n int) string { return fmt.Sprintf("i-%017d", n) }

// restart forgets all that is not in the records, as a new process does, and lets what runs go on.
func (w *world) restart() {
	w.Helper()
	stopped := w.clock
	w.clock = clock.NewVirtual(stopped.Now())
	records := w.store
	w.store = state.New(w.clock)
	_ = records.View(region, func(old *state.Region) error {
		return w.store.Update(region, func(r *state.Region) error {
			r.Groups, r.Refreshes, r.Instances = old.Groups, old.Refreshes, old.Instances
			r.LaunchTemplates, r.Subnets, r.TargetGroups, r.Alarms = old.LaunchTemplates, old.Subnets, old.TargetGroups, old.Alarms
			return nil
		})
	})
	w.serve()
	w.ec2.resume()
	w.service.Resume(region)
}
