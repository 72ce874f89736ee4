package endtoend_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test/localcloud"
)

// throttled has the token buckets of AWS.
const throttled = "version: 1\nthrottling: aws\n"

// many is 1,000 fleets in 20 accounts and 5 regions, in three waves.
func many() plot {
	return plot{
		accounts: 20, regions: 5, fleets: 10, size: 10, waves: 3, speed: 5, poll: 10 * time.Second, faults: throttled,
		strategy: promote.Strategy{
			Kind: promote.Rolling, MinHealthy: 100, MaxHealthy: 140, Canary: true, CheckpointDelay: bake.Duration(time.Minute),
			AutoRollback: true, SkipMatching: true,
		},
	}
}

// BenchmarkPromote promotes an image to 1,000 fleets in waves, under the limits of AWS, and says how much longer that takes than the
// refreshes themselves: in the cloud's time, which goes faster than that of the host.
func BenchmarkPromote(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, many())
		p := w.start(nil)
		began, host := w.cloud.Now(), time.Now()
		_, err := p.run()
		ok(b, err)
		ended := w.cloud.Now()
		took := ended.Sub(began)
		b.Logf("promotion: %s to %s", began.UTC().Format(time.TimeOnly), ended.UTC().Format(time.TimeOnly))
		alone, failed := w.refreshes(b)
		b.ReportMetric(took.Seconds()/alone.Seconds(), "times-refreshes")
		b.ReportMetric(took.Minutes(), "cloud-min")
		b.ReportMetric(time.Since(host).Seconds(), "host-s")
		b.ReportMetric(float64(failed), "failed-fleets")
		b.ReportMetric(float64(len(p.wire.seen())), "calls")
		b.ReportMetric(float64(p.wire.retries()), "retries")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys)/1e6, "MB")
	}
}

// refreshes returns how long the refreshes of all waves took, one wave after the other, and how many did not succeed.
func (w *world) refreshes(t testing.TB) (all time.Duration, failed int) {
	t.Helper()
	for _, members := range w.waves {
		var begin, end time.Time
		for _, m := range members {
			for _, s := range w.specs {
				if s.Name != m.Target {
					continue
				}
				out, err := target.AutoScaling(w.observer(s)).DescribeInstanceRefreshes(t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &m.Group})
				ok(t, err)
				if len(out.InstanceRefreshes) != 1 || out.InstanceRefreshes[0].Status != astypes.InstanceRefreshStatusSuccessful {
					failed++
					continue
				}
				r := out.InstanceRefreshes[0]
				if began := aws.ToTime(r.StartTime); begin.IsZero() || began.Before(begin) {
					begin = began
				}
				if ended := aws.ToTime(r.EndTime); ended.After(end) {
					end = ended
				}
			}
		}
		all += end.Sub(begin)
		t.Logf("refreshes of a wave: %s to %s", begin.Format(time.TimeOnly), end.Format(time.TimeOnly))
	}
	return all, failed
}

// sleep waits until the cloud's clock, which goes by itself, has moved on.
func (w *world) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(time.Duration(float64(d) / w.speed))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func document(text string) localcloud.Document {
	return localcloud.Document{Name: fmt.Sprintf("%d bytes", len(text)), Text: []byte(text)}
}
