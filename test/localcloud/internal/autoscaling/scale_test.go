package autoscaling_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// many makes groups of instances in service.
func (w *world) many(groups, instances int32) {
	w.Helper()
	for n := range groups {
		must(w.client.CreateAutoScalingGroup(w.Context(), &as.CreateAutoScalingGroupInput{
			AutoScalingGroupName: aws.String(fmt.Sprintf("g-%04d", n)), MinSize: aws.Int32(0), MaxSize: aws.Int32(2 * instances), DesiredCapacity: aws.Int32(instances),
			VPCZoneIdentifier: aws.String(subnetA + "," + subnetB), LaunchTemplate: version("1").LaunchTemplate,
		}))
	}
	w.clock.Advance(time.Minute)
}

func (w *world) refreshAll(groups int32) {
	w.Helper()
	for n := range groups {
		w.startRefresh(&as.StartInstanceRefreshInput{
			AutoScalingGroupName: aws.String(fmt.Sprintf("g-%04d", n)), DesiredConfiguration: version("2"),
			Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(90), MaxHealthyPercentage: aws.Int32(110)},
		})
	}
}

// Groups refresh side by side, and each ends with its own instances.
func TestManyGroupsRefreshAtOnce(t *testing.T) {
	w := newWorld(t)
	w.many(50, 20)
	w.refreshAll(50)
	w.clock.Advance(time.Hour)
	_ = w.store.View(region, func(r *state.Region) error {
		for key, g := range r.Groups.All() {
			if len(g.Members) != 20 || aws.ToString(g.LaunchTemplate.Version) != "2" || g.ActiveRefresh != "" {
				t.Errorf("%s has %d instances and version %s", key, len(g.Members), aws.ToString(g.LaunchTemplate.Version))
			}
		}
		return nil
	})
}

// BenchmarkRefresh is an hour in which a thousand groups of twenty instances are refreshed.
func BenchmarkRefresh(b *testing.B) {
	for b.Loop() {
		w := newWorld(b)
		w.many(1000, 20)
		w.refreshAll(1000)
		begin := time.Now()
		w.clock.Advance(time.Hour)
		b.ReportMetric(time.Since(begin).Seconds(), "s/virtual-hour")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapInuse)/1e6, "MB")
		begin = time.Now()
		w.clock.Advance(24 * time.Hour)
		b.ReportMetric(time.Since(begin).Seconds(), "s/idle-day")
		begin = time.Now()
		for range 100 {
			w.group("g-0500")
		}
		b.ReportMetric(float64(time.Since(begin).Microseconds())/100, "µs/describe")
	}
}
