package localcloud_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud"
)

// Nobody moves the clock, and nobody waits: a client that asks again and again sees a refresh come to its end, with every delay in it.
func TestClockRunsWhileAClientPolls(t *testing.T) {
	for name, speed := range map[string]float64{"as fast as work allows": localcloud.Fast, "an hour in a second": 3600} {
		t.Run(name, func(t *testing.T) {
			cloud := simulated(t, localcloud.Config{Seed: 1, Speed: speed})
			f := newFleet(t, cloud, account)
			f.addGroups(t, 2, 3)
			poll(func() bool { return f.instances(t)["1"] == 6 })
			began := cloud.Now()
			f.refresh(t, astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(60), BakeTime: aws.Int32(3600)})
			poll(func() bool { return f.statuses(t)[astypes.InstanceRefreshStatusSuccessful] == 2 })
			if took := cloud.Now().Sub(began); took.Hours() < 1 {
				t.Errorf("an hour of bake time took %v", took)
			}
			wellKept(t, cloud)
		})
	}
}

// poll asks without a pause until the answer is yes.
func poll(done func() bool) {
	for !done() {
		continue
	}
}
