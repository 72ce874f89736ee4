package instance

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) run(_ context.Context, c *wire.Call, in *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
	mismatch := wire.Errorf("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	out := &ec2.RunInstancesOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		network.EnsureDefaults(r, c.Account)
		answer, replayed, err := kit.Once(r, c, in.ClientToken, in, mismatch, func() (string, error) { return s.launched(r, c, in) })
		if err != nil {
			return err
		}
		if replayed && aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		return answerRun(r, strings.Split(answer, ","), out)
	})
}

// launched launches what a user asks for and returns the ids of the instances.
func (s *Service) launched(r *state.Region, c *wire.Call, in *ec2.RunInstancesInput) (string, error) {
	if err := checkRun(in); err != nil {
		return "", err
	}
	p, err := s.plan(r, c.Account, in)
	if err != nil {
		return "", err
	}
	if len(p.in.NetworkInterfaces) > 0 && aws.ToString(in.SubnetId) != "" {
		return "", wire.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	}
	if aws.ToBool(in.DryRun) {
		return "", wire.ErrDryRun()
	}
	p.caller = c.Caller
	all, err := s.carryOut(r, p)
	if err != nil {
		return "", err
	}
	ids := make([]string, 0, len(all))
	for _, made := range all {
		ids = append(ids, *made.InstanceId)
	}
	return strings.Join(ids, ","), nil
}

const maxToken = 64 // characters of a client token [documented]

// checkRun checks what a user must not do and Auto Scaling may.
func checkRun(in *ec2.RunInstancesInput) error {
	if len(aws.ToString(in.ClientToken)) > maxToken {
		return wire.Errorf("InvalidParameterValue", "The client token must not be longer than %d characters.", maxToken)
	}
	return kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeInstance, ec2types.ResourceTypeVolume,
		ec2types.ResourceTypeNetworkInterface, ec2types.ResourceTypeSpotInstancesRequest, ec2types.ResourceTypeElasticGpu)
}

// answerRun shows instances as RunInstances does.
func answerRun(r *state.Region, ids []string, out *ec2.RunInstancesOutput) error {
	ended := true
	for _, id := range ids {
		made := r.Instances.Get(id)
		if made == nil {
			continue
		}
		ended = ended && made.State.Name == ec2types.InstanceStateNameTerminated
		out.OwnerId, out.ReservationId, out.Groups = &made.Account, &made.Reservation, []ec2types.GroupIdentifier{}
		out.RequesterId = requester(made)
		out.Instances = append(out.Instances, launchView(made))
	}
	if ended {
		return wire.Errorf("IdempotentInstanceTerminated",
			"The request to launch an instance uses the same client token as a previous request for which the instance has been terminated.")
	}
	return nil
}

func requester(in *state.Instance) *string {
	if in.Requester == "" {
		return nil
	}
	return &in.Requester
}

// launchView returns an instance as RunInstances shows it: without some members that DescribeInstances has.
func launchView(in *state.Instance) ec2types.Instance {
	shown := in.Instance
	shown.HibernationOptions, shown.PlatformDetails, shown.UsageOperation, shown.UsageOperationUpdateTime = nil, nil, nil, nil
	shown.NetworkPerformanceOptions, shown.SecondaryInterfaces = nil, nil
	hideNewDisks(in, &shown)
	return shown
}

// describeView returns an instance as DescribeInstances shows it.
func describeView(in *state.Instance) ec2types.Instance {
	shown := in.Instance
	shown.Operator = &ec2types.OperatorResponse{Managed: aws.Bool(false), HiddenByDefault: aws.Bool(false)}
	hideNewDisks(in, &shown)
	return shown
}

// hideNewDisks leaves out the volumes of a launch that is not over: they appear a little later than the instance.
func hideNewDisks(in *state.Instance, shown *ec2types.Instance) {
	if in.Starts == 1 && in.State.Name == ec2types.InstanceStateNamePending {
		shown.BlockDeviceMappings = []ec2types.InstanceBlockDeviceMapping{}
	}
}
