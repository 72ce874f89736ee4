package elb

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func healthy() types.TargetHealth {
	return types.TargetHealth{State: types.TargetHealthStateEnumHealthy}
}

// health returns a state with its reason and the description that the user guides give for that reason.
func health(s types.TargetHealthStateEnum, reason types.TargetHealthReasonEnum) types.TargetHealth {
	return types.TargetHealth{State: s, Reason: reason, Description: aws.String(describe(reason))}
}

func describe(reason types.TargetHealthReasonEnum) string {
	switch reason {
	case types.TargetHealthReasonEnumRegistrationInProgress:
		return "Target registration is in progress"
	case types.TargetHealthReasonEnumInitialHealthChecking:
		return "Initial health checks in progress"
	case types.TargetHealthReasonEnumTimeout:
		return "Request timed out"
	case types.TargetHealthReasonEnumFailedHealthChecks:
		return "Health checks failed"
	case types.TargetHealthReasonEnumNotRegistered:
		return "Target is not registered to the target group"
	case types.TargetHealthReasonEnumNotInUse:
		return "Target group is not configured to receive traffic from the load balancer"
	case types.TargetHealthReasonEnumDeregistrationInProgress:
		return "Target deregistration is in progress"
	case types.TargetHealthReasonEnumInvalidState:
		return "Target is in an invalid state"
	case types.TargetHealthReasonEnumHealthCheckDisabled:
		return "Health checks are disabled"
	case types.TargetHealthReasonEnumIpUnusable:
		return "The IP address cannot be used as a target, as it is in use by a load balancer"
	case types.TargetHealthReasonEnumResponseCodeMismatch:
		return "Health checks failed with these codes: []"
	case types.TargetHealthReasonEnumInternalError:
		return "Health checks failed due to an internal error"
	}
	return ""
}

// failed returns the health of a target that does not pass its checks, by the reason that the prober gave: one of the service's own codes, with
// the HTTP status after a blank or a colon where there was one, or what went wrong in its own words.
func failed(reason string) types.TargetHealth {
	code, rest, _ := strings.Cut(strings.Replace(reason, ":", " ", 1), " ")
	status := strings.Trim(strings.TrimSpace(rest), "[]")
	lower := strings.ToLower(reason)
	switch {
	case code == string(types.TargetHealthReasonEnumResponseCodeMismatch):
		h := health(types.TargetHealthStateEnumUnhealthy, types.TargetHealthReasonEnumResponseCodeMismatch)
		if i := strings.LastIndexAny(status, " ["); i >= 0 {
			status = status[i+1:]
		}
		h.Description = aws.String("Health checks failed with these codes: [" + status + "]")
		return h
	case code == string(types.TargetHealthReasonEnumTimeout), strings.Contains(lower, "timeout"), strings.Contains(lower, "timed out"):
		return health(types.TargetHealthStateEnumUnhealthy, types.TargetHealthReasonEnumTimeout)
	}
	return health(types.TargetHealthStateEnumUnhealthy, types.TargetHealthReasonEnumFailedHealthChecks)
}

// standing returns the health of a target as far as it does not come from its checks, and whether the checks have a say: they have if the
// group is in use, and the instance runs in a zone of a balancer.
func standing(r *state.Region, g *state.TargetGroup, id string) (h types.TargetHealth, checked bool) {
	in := r.Instances.Get(id)
	if in == nil {
		return invalidState("terminated"), false
	}
	switch stateOf(in) {
	case ec2types.InstanceStateNamePending, ec2types.InstanceStateNameRunning:
	case ec2types.InstanceStateNameStopped, ec2types.InstanceStateNameStopping:
		return invalidState("stopped"), false
	case ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
		return invalidState("terminated"), false
	}
	if len(g.LoadBalancerArns) == 0 {
		return health(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse), false
	}
	if zone := zoneOf(in); zone != "" && !slices.Contains(zones(r, g), zone) {
		h = health(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse)
		h.Description = aws.String("Target is in an Availability Zone that is not enabled for the load balancer")
		return h, false
	}
	return health(types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumRegistrationInProgress), true
}

func invalidState(name string) types.TargetHealth {
	h := health(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumInvalidState)
	h.Description = aws.String("Target is in the " + name + " state")
	return h
}

// zones returns the Availability Zones of all balancers that use a group.
func zones(r *state.Region, g *state.TargetGroup) []string {
	var names []string
	for _, arn := range g.LoadBalancerArns {
		if b := r.LoadBalancers.Get(arn); b != nil {
			for _, z := range b.AvailabilityZones {
				names = append(names, aws.ToString(z.ZoneName))
			}
		}
	}
	return names
}

func stateOf(in *state.Instance) ec2types.InstanceStateName {
	if in.State == nil {
		return ec2types.InstanceStateNamePending
	}
	return in.State.Name
}

func zoneOf(in *state.Instance) string {
	if in.Placement == nil {
		return ""
	}
	return aws.ToString(in.Placement.AvailabilityZone)
}
