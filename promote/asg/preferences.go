package asg

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// probeTime is how long a checkpoint lasts at least where something is asked at it: who watches looks every few seconds.
const probeTime = bake.Duration(time.Minute)

// defaultDelay is AWS's own.
const defaultDelay = bake.Duration(time.Hour)

func strategyOf(r promote.Rollout) astypes.RefreshStrategy {
	if r.Fleet.Strategy.Kind == promote.ReplaceRootVolume {
		return astypes.RefreshStrategyReplaceRootVolume
	}
	return astypes.RefreshStrategyRolling
}

// preferencesOf returns those of a refresh of a group of a size. The way back is the shortest there is, within the bounds of health: it goes to
// what is known to work, leaves alone what never left it, and is not stopped by the alarm that it is an answer to.
func preferencesOf(r promote.Rollout, desired int) *astypes.RefreshPreferences {
	s := r.Fleet.Strategy
	p := &astypes.RefreshPreferences{
		MinHealthyPercentage: count(s.MinHealthy), SkipMatching: aws.Bool(s.SkipMatching || r.Back), AutoRollback: aws.Bool(s.AutoRollback && !r.Back),
		ScaleInProtectedInstances: astypes.ScaleInProtectedInstances(capital(s.Protected)), StandbyInstances: astypes.StandbyInstances(capital(s.Standby)),
	}
	if s.MaxHealthy > 0 {
		p.MaxHealthyPercentage = count(s.MaxHealthy)
	}
	if s.Warmup > 0 {
		p.InstanceWarmup = seconds(s.Warmup)
	}
	if r.Back {
		return p
	}
	if s.Soak > 0 {
		p.BakeTime = seconds(s.Soak)
	}
	if len(s.Alarms) > 0 {
		p.AlarmSpecification = &astypes.AlarmSpecification{Alarms: slices.Clone(s.Alarms)}
	}
	if points := checkpoints(s, desired); len(points) > 0 {
		if s.CheckpointDelay > 0 { // otherwise AWS takes an hour
			p.CheckpointDelay = seconds(checkpointDelay(s))
		}
		for _, c := range points {
			p.CheckpointPercentages = append(p.CheckpointPercentages, *count(c))
		}
	}
	return p
}

// checkpoints returns the percentages of the group at which a refresh stops for a while. The first is one instance, where the strategy has a
// canary; of more than a hundred instances it is one in a hundred, for AWS knows whole percents. The last is all: AWS leaves alone what
// comes after the last.
func checkpoints(s promote.Strategy, desired int) []int {
	points := slices.Clone(s.Checkpoints)
	if s.Canary && desired > 1 {
		points = append(points, max(1, 100/desired))
	}
	if len(points) == 0 {
		return nil
	}
	points = append(points, 100)
	slices.Sort(points)
	return slices.Compact(points)
}

// checkpointDelay returns how long a refresh stops at a checkpoint.
func checkpointDelay(s promote.Strategy) bake.Duration {
	if s.CheckpointDelay == 0 {
		return defaultDelay
	}
	if len(s.Probes) > 0 {
		return max(s.CheckpointDelay, probeTime)
	}
	return s.CheckpointDelay
}

func seconds(d bake.Duration) *int32 { return count(int(time.Duration(d) / time.Second)) }

func count(n int) *int32 { return aws.Int32(int32(n)) } //nolint:gosec // percentages and seconds

// capital writes a policy as AWS has it: refresh is Refresh.
func capital(s string) string {
	if s == "" {
		return ""
	}
	return string(s[0]-'a'+'A') + s[1:]
}
