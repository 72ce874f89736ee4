package asg

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// How long what is not configured takes, as seen on AWS (small instances, single samples).
const (
	beginTime     = 10 * time.Second // from the call until the refresh begins
	launchTime    = 20 * time.Second // until an instance is in service
	healthTime    = 70 * time.Second // until its health counts, whatever the warm-up
	terminateTime = 40 * time.Second // until the old one is gone, and that is noticed
)

// span returns the fewest healthy instances that a refresh keeps, and the most that it has.
func span(s promote.Strategy, desired int) (least, most int) {
	return (s.MinHealthy*desired + 99) / 100, max(desired, s.MaxHealthy*desired/100)
}

// estimate returns how long a refresh of all instances takes when nothing goes wrong: as many rounds as the bounds of health make of the group,
// and what the strategy waits for.
func estimate(s promote.Strategy, g *group, back bool) bake.Duration {
	n := g.desired()
	total := beginTime
	if n == 0 {
		return bake.Duration(total)
	}
	points := []int{100}
	if marks := checkpoints(s, n); len(marks) > 0 && !back {
		points = marks
		total += time.Duration(len(marks)-1) * time.Duration(checkpointDelay(s))
	}
	round, done := launchTime+max(warmup(s, g), healthTime)+terminateTime, 0
	for _, p := range points {
		upTo := (p*n + 99) / 100
		rounds := (upTo - done + batch(s, n) - 1) / batch(s, n)
		total, done = total+time.Duration(rounds)*round, upTo
	}
	if !back {
		total += time.Duration(s.Soak)
	}
	return bake.Duration(total)
}

// batch is how many instances are replaced at the same time.
func batch(s promote.Strategy, n int) int {
	least, most := span(s, n)
	if s.Kind == promote.ReplaceRootVolume {
		most = n
	}
	return max(1, most-least)
}

func warmup(s promote.Strategy, g *group) time.Duration {
	switch {
	case s.Warmup > 0:
		return time.Duration(s.Warmup)
	case g.DefaultInstanceWarmup != nil:
		return time.Duration(*g.DefaultInstanceWarmup) * time.Second
	}
	return time.Duration(aws.ToInt32(g.HealthCheckGracePeriod)) * time.Second
}
