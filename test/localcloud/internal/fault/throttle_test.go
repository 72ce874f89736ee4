package fault_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// admitted makes a call until it is throttled, 5,000 times at most.
func admitted(t *testing.T, r *fault.Rules, c *wire.Call) (n int) {
	t.Helper()
	for range 5_000 {
		if r.Before(t.Context(), c) != nil {
			return n
		}
		n++
	}
	return n
}

func TestBucketsOfAWS(t *testing.T) {
	filtered := &ec2.DescribeInstancesInput{MaxResults: aws.Int32(100)}
	for _, c := range []struct {
		service, operation string
		input              any
		burst, afterASec   int // calls at once, and a second later
	}{
		{"ec2", "DescribeImages", &ec2.DescribeImagesInput{}, 100, 20},
		{"ec2", "DescribeInstances", &ec2.DescribeInstancesInput{}, 50, 10},
		{"ec2", "DescribeInstances", filtered, 100, 20},
		{"ec2", "GetConsoleOutput", &ec2.GetConsoleOutputInput{}, 100, 20},
		{"ec2", "CreateLaunchTemplate", &ec2.CreateLaunchTemplateInput{}, 50, 5},
		{"ec2", "CreateLaunchTemplateVersion", &ec2.CreateLaunchTemplateVersionInput{}, 100, 5},
		{"ec2", "CreateKeyPair", &ec2.CreateKeyPairInput{}, 50, 5},
		{"ec2", "CreateTags", &ec2.CreateTagsInput{}, 100, 10},
		{"ec2", "CopyImage", &ec2.CopyImageInput{}, 100, 1},
		{"ec2", "RegisterImage", &ec2.RegisterImageInput{}, 50, 5},
		{"ec2", "RunInstances", &ec2.RunInstancesInput{MaxCount: aws.Int32(1)}, 5, 2},
		{"ec2", "RunInstances", &ec2.RunInstancesInput{MaxCount: aws.Int32(500)}, 2, 0},
		{"ec2", "RunInstances", &ec2.RunInstancesInput{MaxCount: aws.Int32(5000)}, 1, 0},
		{"ec2", "StartInstances", &ec2.StartInstancesInput{InstanceIds: make([]string, 400)}, 2, 0},
		{"ec2", "StopInstances", &ec2.StopInstancesInput{InstanceIds: make([]string, 20)}, 50, 1},
		{"ec2", "TerminateInstances", &ec2.TerminateInstancesInput{InstanceIds: make([]string, 20)}, 50, 1},
		{"ebs", "PutSnapshotBlock", &ebs.PutSnapshotBlockInput{SnapshotId: aws.String("snap-1")}, 1000, 1000},
		{"ebs", "ListSnapshotBlocks", &ebs.ListSnapshotBlocksInput{}, 50, 50},
		{"ebs", "StartSnapshot", &ebs.StartSnapshotInput{}, 10, 10},
		{"elasticloadbalancing", "DescribeTargetHealth", nil, 40, 10},
		{"elasticloadbalancing", "RegisterTargets", nil, 20, 4},
		{"elasticloadbalancing", "CreateTargetGroup", nil, 20, 3},
		{"elasticloadbalancing", "CreateLoadBalancer", nil, 10, 0},
		{"autoscaling", "DescribeAutoScalingGroups", nil, 100, 20},
		{"monitoring", "SetAlarmState", nil, 3, 3},
		{"monitoring", "DescribeAlarms", nil, 9, 9},
		{"monitoring", "TagResource", nil, 20, 20},
		{"monitoring", "ListTagsForResource", nil, 10, 10},
		{"ssm", "GetParameter", nil, 40, 40},
		{"ssm", "PutParameter", nil, 10, 10},
		{"sts", "AssumeRole", nil, 600, 600},
	} {
		r, v := newRules(t, "throttling: aws")
		what := call(c.service, c.operation)
		what.Input = c.input
		if n := admitted(t, r, what); n != c.burst {
			t.Errorf("%s %s: %d calls at once, want %d", c.service, c.operation, n, c.burst)
		}
		v.Advance(time.Second)
		if n := admitted(t, r, what); n != c.afterASec {
			t.Errorf("%s %s: %d calls a second later, want %d", c.service, c.operation, n, c.afterASec)
		}
		v.Advance(time.Hour)
		if n := admitted(t, r, what); n != c.burst {
			t.Errorf("%s %s: %d calls from a full bucket, want %d", c.service, c.operation, n, c.burst)
		}
		if r.Injected("throttle") != 3 {
			t.Errorf("counted %v", r.Counts())
		}
	}
}

func TestBucketsAreSeparate(t *testing.T) {
	r, _ := newRules(t, "throttling: aws")
	one := call("ec2", "DescribeImages")
	admitted(t, r, one)
	for name, change := range map[string]func(*wire.Call){
		"operation": func(c *wire.Call) { c.Operation = "DescribeVpcs" },
		"account":   func(c *wire.Call) { c.Account = "444455556666" },
		"region":    func(c *wire.Call) { c.Region = "us-east-1" },
	} {
		other := *one
		change(&other)
		if err := r.Before(t.Context(), &other); err != nil {
			t.Errorf("another %s is throttled, too", name)
		}
	}
}

func TestBlocksOfASnapshot(t *testing.T) {
	r, v := newRules(t, "throttling: aws")
	put := call("ebs", "PutSnapshotBlock")
	put.Input = &ebs.PutSnapshotBlockInput{SnapshotId: aws.String("snap-1")}
	admitted(t, r, put)
	var e *wire.Error
	if err := r.Before(t.Context(), put); !errors.As(err, &e) || e.Reason != "ACCOUNT_THROTTLED" {
		t.Errorf("got %v", err)
	}
	// A second fills both; a call that the snapshot's bucket refuses takes nothing of the account's.
	v.Advance(time.Second)
	other := *put
	other.Input = &ebs.PutSnapshotBlockInput{SnapshotId: aws.String("snap-2")}
	if n := admitted(t, r, &other); n != 1000 {
		t.Errorf("%d blocks of another snapshot", n)
	}
}

func TestElasticLoadBalancingHasABucketForAll(t *testing.T) {
	r, _ := newRules(t, "throttling: aws")
	if n := admitted(t, r, call("elasticloadbalancing", "RegisterTargets")); n != 20 {
		t.Fatalf("%d registrations", n)
	}
	if n := admitted(t, r, call("elasticloadbalancing", "DescribeTags")); n != 20 {
		t.Errorf("%d of the 20 calls that are left", n)
	}
}

func TestNoThrottlingUnlessAsked(t *testing.T) {
	r, _ := newRules(t, "throttling: none")
	if n := admitted(t, r, call("ec2", "DescribeImages")); n != 5_000 {
		t.Errorf("throttled after %d calls", n)
	}
}

func TestManyClientsShareABucket(t *testing.T) {
	v := clock.NewVirtual(start)
	r := fault.New(v, 1)
	r.Set(parse(t, "version: 1\nthrottling: aws\nrules: [{ match: { every: 10 }, do: { lose: true } }]"))
	var clients sync.WaitGroup
	var mu sync.Mutex
	var all strings.Builder
	for range 16 {
		clients.Go(func() {
			got := fates(t, r, call("ec2", "DescribeImages"), 20)
			mu.Lock()
			defer mu.Unlock()
			all.WriteString(got)
		})
	}
	clients.Wait()
	if ok, lost := strings.Count(all.String(), "0"), strings.Count(all.String(), "L"); ok != 90 || lost != 10 {
		t.Errorf("%d calls succeeded and %d were lost, of a bucket of 100", ok, lost)
	}
}
