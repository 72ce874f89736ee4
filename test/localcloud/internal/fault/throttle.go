package fault

import (
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// bucket holds tokens, of which each call takes some.
type bucket struct {
	tokens float64
	at     time.Time // of the cloud's clock, when there were so many
}

// size is how much a bucket holds and how much flows into it in a second.
type size struct{ capacity, rate float64 }

// need is what a call takes from a bucket.
type need struct {
	bucket string // its name; each account has its own in each region
	size   size
	tokens float64
	reason string // of the error of EBS direct
}

// throttle takes the tokens of a call out of its buckets, or none of them where one has too few.
func (r *Rules) throttle(c *wire.Call) *wire.Error {
	needs := needsOf(c)
	for _, n := range needs {
		if b := r.fill(c, n); b.tokens < n.tokens {
			e := throttled(c.Service)
			if n.reason != "" {
				e.Reason = n.reason
			}
			return e
		}
	}
	for _, n := range needs {
		r.fill(c, n).tokens -= n.tokens
	}
	return nil
}

// fill returns a bucket as it is now.
func (r *Rules) fill(c *wire.Call, n need) *bucket {
	key, now := c.Account+"/"+c.Region+"/"+c.Service+"/"+n.bucket, r.clock.Now()
	b := r.buckets[key]
	if b == nil {
		b = &bucket{tokens: n.size.capacity, at: now}
		r.buckets[key] = b
	}
	b.tokens = min(n.size.capacity, b.tokens+n.size.rate*now.Sub(b.at).Seconds())
	b.at = now
	return b
}

// needsOf returns what a call takes. Services that are not here are not throttled.
func needsOf(c *wire.Call) []need {
	switch c.Service {
	case "ec2":
		return ec2Needs(c)
	case "ebs":
		return ebsNeeds(c)
	case "elasticloadbalancing":
		return elbNeeds(c)
	case "autoscaling":
		// Documented: one bucket for all of its API. Its size is not published; this is inferred.
		return []need{{bucket: "all", size: size{100, 20}, tokens: 1}}
	case "monitoring":
		return []need{{bucket: c.Operation, size: alarmSize(c.Operation), tokens: 1}}
	case "ssm":
		return []need{ssmNeed(c.Operation)}
	case "sts":
		// IAM and STS quotas: 600 requests a second for each account and region.
		return []need{{bucket: "all", size: size{600, 600}, tokens: 1}}
	}
	return nil
}

// ec2Needs is "Request throttling for the Amazon EC2 API" of the Amazon EC2 Developer Guide: a bucket for each operation, and for some a second one
// with a token for each instance.
func ec2Needs(c *wire.Call) []need {
	needs := []need{{bucket: c.Operation, size: ec2Size(c), tokens: 1}}
	var instances int
	var resources size
	switch in := c.Input.(type) {
	case *ec2.RunInstancesInput:
		instances, resources = int(aws.ToInt32(in.MaxCount)), size{1000, 2}
	case *ec2.StartInstancesInput:
		instances, resources = len(in.InstanceIds), size{1000, 2}
	case *ec2.StopInstancesInput:
		instances, resources = len(in.InstanceIds), size{1000, 20}
	case *ec2.TerminateInstancesInput:
		instances, resources = len(in.InstanceIds), size{1000, 20}
	default:
		return needs
	}
	return append(needs, need{bucket: c.Operation + " resources", size: resources, tokens: min(float64(instances), resources.capacity)})
}

// ec2Size returns the request bucket of an operation, of those that are modelled here.
func ec2Size(c *wire.Call) size {
	switch c.Operation {
	case "RunInstances", "StartInstances":
		return size{5, 2}
	case "CreateTags", "DeleteTags":
		return size{100, 10}
	case "CopyImage":
		return size{100, 1}
	case "CreateDefaultVpc", "CreateDefaultSubnet":
		return size{1, 1}
	case "CreateLaunchTemplateVersion", "CreateNetworkInterface", "CreateSnapshot", "CreateSnapshots", "CreateVolume", "DeleteNetworkInterface",
		"DeleteSnapshot", "DeleteVolume", "DeregisterImage", "ModifyImageAttribute", "ModifyInstanceMetadataOptions", "ModifyLaunchTemplate",
		"ModifyNetworkInterfaceAttribute", "ModifySnapshotAttribute", "TerminateInstances", "AssociateIamInstanceProfile":
		return size{100, 5}
	case "DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSnapshots", "DescribeVolumes":
		if sweeping(c.Input) {
			return size{50, 10}
		}
	}
	for _, verb := range []string{"Describe", "List", "Search", "Get"} {
		if strings.HasPrefix(c.Operation, verb) {
			return size{100, 20}
		}
	}
	return size{50, 5} // mutating and resource-intensive operations alike
}

// sweeping reports whether a Describe names neither a filter nor a page; ids are not mentioned in the documentation.
func sweeping(input any) bool {
	v := reflect.Indirect(reflect.ValueOf(input))
	if v.Kind() != reflect.Struct {
		return false
	}
	for _, name := range []string{"Filters", "MaxResults", "NextToken"} {
		if f := v.FieldByName(name); f.IsValid() && !f.IsZero() {
			return false
		}
	}
	return true
}

// ebsNeeds is "Quotas for Amazon EBS" of the AWS General Reference: requests a second for each account and, of blocks, for each snapshot.
func ebsNeeds(c *wire.Call) []need {
	account := need{bucket: c.Operation, tokens: 1, reason: "ACCOUNT_THROTTLED"}
	switch c.Operation {
	case "PutSnapshotBlock", "GetSnapshotBlock":
		account.size = size{1000, 1000}
		snapshot := account
		snapshot.bucket += " " + snapshotOf(c.Input)
		snapshot.reason = "RESOURCE_LEVEL_THROTTLE"
		return []need{account, snapshot}
	case "ListSnapshotBlocks", "ListChangedBlocks":
		account.size = size{50, 50}
	default: // StartSnapshot, CompleteSnapshot
		account.size = size{10, 10}
	}
	return []need{account}
}

func snapshotOf(input any) string {
	v := reflect.Indirect(reflect.ValueOf(input))
	if v.Kind() != reflect.Struct || !v.FieldByName("SnapshotId").IsValid() {
		return ""
	}
	id, _ := reflect.TypeAssert[*string](v.FieldByName("SnapshotId"))
	return aws.ToString(id)
}

// elbNeeds is "Request throttling for the Elastic Load Balancing API" of its user guide: a bucket for each kind of operation, and one for
// all of them.
func elbNeeds(c *wire.Call) []need {
	kind := need{bucket: "mutating", size: size{20, 3}, tokens: 1}
	switch {
	case c.Operation == "CreateLoadBalancer" || c.Operation == "SetSubnets":
		kind.bucket, kind.size = "resource-intensive", size{10, 0.2}
	case c.Operation == "RegisterTargets" || c.Operation == "DeregisterTargets":
		kind.bucket, kind.size = "registration", size{20, 4}
	case strings.HasPrefix(c.Operation, "Describe"):
		kind.bucket, kind.size = "non-mutating", size{40, 10}
	}
	return []need{kind, {bucket: "account", size: size{40, 10}, tokens: 1}}
}

// alarmSize is "CloudWatch service quotas": requests a second.
func alarmSize(operation string) size {
	switch operation {
	case "PutMetricAlarm", "PutCompositeAlarm", "SetAlarmState", "DeleteAlarms":
		return size{3, 3}
	case "DescribeAlarms":
		return size{9, 9}
	case "TagResource", "UntagResource":
		return size{20, 20}
	default:
		return size{10, 10}
	}
}

// ssmNeed is "AWS Systems Manager endpoints and quotas": the reading operations of Parameter Store share 40 requests a second, of the default
// throughput. That of the others is inferred.
func ssmNeed(operation string) need {
	switch operation {
	case "GetParameter", "GetParameters", "GetParametersByPath":
		return need{bucket: "get", size: size{40, 40}, tokens: 1}
	default:
		return need{bucket: operation, size: size{10, 10}, tokens: 1}
	}
}
