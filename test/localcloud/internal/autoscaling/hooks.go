package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	defaultHeartbeat = 3600   // seconds, documented
	maxActionTime    = 172800 // seconds, recorded: GlobalTimeout is this, or a hundred heartbeats where that is less
	maxHooks         = 50     // of a group, documented
)

func (s *Service) registerHooks(svc *wire.Service) {
	wire.Handle(svc, s.putLifecycleHook)
	wire.Handle(svc, s.deleteLifecycleHook)
	wire.Handle(svc, s.describeLifecycleHooks)
	wire.Handle(svc, s.completeLifecycleAction)
	wire.Handle(svc, s.recordLifecycleActionHeartbeat)
}

// actions returns what an instance must wait for at a transition.
func (l *look) actions(transition string) []state.LifecycleAction {
	var all []state.LifecycleAction
	for _, h := range l.group.Hooks {
		if aws.ToString(h.LifecycleTransition) == transition {
			all = append(all, state.LifecycleAction{
				Hook: aws.ToString(h.LifecycleHookName), Token: kit.UUID(),
				Until: l.now.Add(seconds(h.HeartbeatTimeout)), Limit: l.now.Add(seconds(h.GlobalTimeout)),
			})
		}
	}
	return all
}

func seconds(n *int32) time.Duration { return time.Duration(aws.ToInt32(n)) * time.Second }

// waitForActions returns how the actions of an instance ended, and whether all have. One whose time is up ends with its hook's default result, and
// one whose hook is gone goes on.
func (l *look) waitForActions(m *state.Member) (results []string, over bool) {
	over = true
	for i := range m.Actions {
		a := &m.Actions[i]
		if a.Result == "" {
			h := hookNamed(l.group, a.Hook)
			if h == nil {
				a.Result = toContinue
			} else if l.due(a.Until) {
				a.Result = aws.ToString(h.DefaultResult)
			}
		}
		over = over && a.Result != ""
		results = append(results, a.Result)
	}
	return results, over
}

func hookNamed(g *state.Group, name string) *astypes.LifecycleHook {
	i := slices.IndexFunc(g.Hooks, func(h astypes.LifecycleHook) bool { return aws.ToString(h.LifecycleHookName) == name })
	if i < 0 {
		return nil
	}
	return &g.Hooks[i]
}

func (s *Service) putLifecycleHook(_ context.Context, c *wire.Call, given *as.PutLifecycleHookInput) (*as.PutLifecycleHookOutput, error) {
	in, err := own(given)
	if err != nil {
		return nil, err
	}
	return &as.PutLifecycleHookOutput{}, s.edit(c, in.AutoScalingGroupName, func(_ *state.Region, g *state.Group) error {
		hook := astypes.LifecycleHook{
			AutoScalingGroupName: g.AutoScalingGroupName, LifecycleHookName: in.LifecycleHookName, LifecycleTransition: in.LifecycleTransition,
			DefaultResult: in.DefaultResult, HeartbeatTimeout: in.HeartbeatTimeout, NotificationMetadata: in.NotificationMetadata,
			NotificationTargetARN: in.NotificationTargetARN, RoleARN: in.RoleARN,
		}
		if old := hookNamed(g, aws.ToString(in.LifecycleHookName)); old != nil {
			mergeHook(&hook, old)
		}
		return putHook(g, hook)
	})
}

// mergeHook keeps what a later request does not mention.
func mergeHook(h, old *astypes.LifecycleHook) {
	h.LifecycleTransition = first(h.LifecycleTransition, old.LifecycleTransition)
	h.DefaultResult = first(h.DefaultResult, old.DefaultResult)
	h.HeartbeatTimeout = first(h.HeartbeatTimeout, old.HeartbeatTimeout)
	h.NotificationMetadata = first(h.NotificationMetadata, old.NotificationMetadata)
	h.NotificationTargetARN = first(h.NotificationTargetARN, old.NotificationTargetARN)
	h.RoleARN = first(h.RoleARN, old.RoleARN)
}

// first returns the first pointer that is not nil.
func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// putHook checks a hook and adds it to a group, or replaces the one of its name.
func putHook(g *state.Group, h astypes.LifecycleHook) error {
	if t := aws.ToString(h.LifecycleTransition); t != launching && t != ending {
		return invalid("Lifecycle hook transition '%s' is not valid: valid transitions are %s and %s.", t, launching, ending)
	}
	h.DefaultResult = first(h.DefaultResult, aws.String(toAbandon))
	if r := aws.ToString(h.DefaultResult); r != toContinue && r != toAbandon {
		return invalid("Default result '%s' is not valid: valid results are %s and %s.", r, toContinue, toAbandon)
	}
	h.HeartbeatTimeout = first(h.HeartbeatTimeout, aws.Int32(defaultHeartbeat))
	beat := *h.HeartbeatTimeout
	if beat < 30 || beat > 7200 {
		return invalid("Heartbeat timeout must be between 30 and 7200 seconds.")
	}
	h.GlobalTimeout = aws.Int32(min(maxActionTime, 100*beat))
	others := slices.DeleteFunc(slices.Clone(g.Hooks), func(o astypes.LifecycleHook) bool {
		return aws.ToString(o.LifecycleHookName) == aws.ToString(h.LifecycleHookName)
	})
	if len(others) >= maxHooks {
		return wire.Errorf("LimitExceeded", "You cannot have more than %d lifecycle hooks per Auto Scaling group.", maxHooks)
	}
	others = append(others, h)
	g.Hooks = others
	return nil
}

func (s *Service) deleteLifecycleHook(_ context.Context, c *wire.Call, in *as.DeleteLifecycleHookInput) (*as.DeleteLifecycleHookOutput, error) {
	return &as.DeleteLifecycleHookOutput{}, s.edit(c, in.AutoScalingGroupName, func(_ *state.Region, g *state.Group) error {
		name := aws.ToString(in.LifecycleHookName)
		if hookNamed(g, name) == nil {
			return invalid("No Lifecycle Hook found with name: %s", name)
		}
		g.Hooks = slices.DeleteFunc(slices.Clone(g.Hooks), func(h astypes.LifecycleHook) bool { return aws.ToString(h.LifecycleHookName) == name })
		return nil // instances that wait for it go on at the next look
	})
}

func (s *Service) describeLifecycleHooks(_ context.Context, c *wire.Call, in *as.DescribeLifecycleHooksInput) (*as.DescribeLifecycleHooksOutput, error) {
	out := &as.DescribeLifecycleHooksOutput{LifecycleHooks: []astypes.LifecycleHook{}}
	return out, s.read(c, in.AutoScalingGroupName, func(_ *state.Region, g *state.Group) error {
		for _, h := range g.Hooks {
			if len(in.LifecycleHookNames) == 0 || slices.Contains(in.LifecycleHookNames, aws.ToString(h.LifecycleHookName)) {
				out.LifecycleHooks = append(out.LifecycleHooks, h)
			}
		}
		return nil
	})
}

func (s *Service) completeLifecycleAction(_ context.Context, c *wire.Call, in *as.CompleteLifecycleActionInput) (*as.CompleteLifecycleActionOutput, error) {
	return &as.CompleteLifecycleActionOutput{}, s.edit(c, in.AutoScalingGroupName, func(_ *state.Region, g *state.Group) error {
		result := aws.ToString(in.LifecycleActionResult)
		if result != toContinue && result != toAbandon {
			return invalid("Lifecycle action result '%s' is not valid: valid results are %s and %s.", result, toContinue, toAbandon)
		}
		a, _, err := findAction(g, in.LifecycleHookName, in.LifecycleActionToken, in.InstanceId)
		if err == nil {
			a.Result = result
		}
		return err
	})
}

func (s *Service) recordLifecycleActionHeartbeat(_ context.Context, c *wire.Call, in *as.RecordLifecycleActionHeartbeatInput) (*as.RecordLifecycleActionHeartbeatOutput, error) {
	return &as.RecordLifecycleActionHeartbeatOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		a, h, err := findAction(g, in.LifecycleHookName, in.LifecycleActionToken, in.InstanceId)
		if err != nil {
			return err
		}
		a.Until = r.Now().Add(seconds(h.HeartbeatTimeout))
		if a.Until.After(a.Limit) {
			a.Until = a.Limit
		}
		return nil
	})
}

// findAction returns the action that a request means, for changing it, and its hook.
func findAction(g *state.Group, hook, token, instance *string) (*state.LifecycleAction, *astypes.LifecycleHook, error) {
	h := hookNamed(g, aws.ToString(hook))
	for i := range g.Members {
		m := &g.Members[i]
		if instance != nil && aws.ToString(m.InstanceId) != *instance {
			continue
		}
		for j := range m.Actions {
			a := &m.Actions[j]
			if h != nil && a.Hook == aws.ToString(hook) && a.Result == "" && (token == nil || a.Token == *token) && (token != nil || instance != nil) {
				return a, h, nil
			}
		}
	}
	if token != nil {
		return nil, nil, invalid("No active Lifecycle Action found with token %s", *token)
	}
	return nil, nil, invalid("No active Lifecycle Action found with instance ID %s", aws.ToString(instance))
}
