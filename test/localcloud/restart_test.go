package localcloud_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/test/localcloud"
	"github.com/iibake/iibake/test/localcloud/admin"
)

// A cloud that is started again holds what it held, and goes on with what was under way: here with refreshes in their midst.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	cloud := simulated(t, localcloud.Config{Dir: dir})
	f := newFleet(t, cloud, account)
	f.addGroups(t, 3, 4)
	ok(t, cloud.Advance(5*time.Minute))
	if got := f.instances(t); got["1"] != 12 {
		t.Fatalf("in service: %v", got)
	}
	f.refresh(t, astypes.RefreshPreferences{})
	for range 20 { // a restart in every phase of it
		ok(t, cloud.Advance(30*time.Second))
		cloud = restarted(t, cloud, dir)
		f.of(cloud)
	}
	ok(t, cloud.Advance(time.Hour))
	if got := f.instances(t); got["2"] != 12 || len(got) != 1 {
		t.Errorf("in service at the end: %v", got)
	}
	if got := f.statuses(t); got[astypes.InstanceRefreshStatusSuccessful] != 3 {
		t.Errorf("refreshes at the end: %v", got)
	}
	wellKept(t, cloud)
	f.remove(t)
	if left := cloud.Leaked(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// restarted closes a cloud and starts it again, and compares what it holds.
func restarted(t *testing.T, cloud *localcloud.Cloud, dir string) *localcloud.Cloud {
	t.Helper()
	ok(t, cloud.Verify())
	before := picture(t, cloud)
	ok(t, cloud.Close())
	again := simulated(t, localcloud.Config{Dir: dir})
	if after := picture(t, again); after != before {
		t.Fatalf("after the restart:\n%s\nbefore it:\n%s", after, before)
	}
	return again
}

// picture is what must not be different after a restart: which instances there are, all that shut down have ended, and everything else.
// Status checks begin anew, and addresses of instances may be others.
func picture(t *testing.T, cloud *localcloud.Cloud) string {
	t.Helper()
	s, err := cloud.Status()
	ok(t, err)
	for i := range s.Instances {
		s.Instances[i].Status, s.Instances[i].Address = "", ""
		if s.Instances[i].State == "shutting-down" {
			s.Instances[i].State = "terminated"
		}
	}
	others := slices.DeleteFunc(cloud.Leaked(), func(r admin.Resource) bool { return r.Type == "instance" || r.Type == "volume" })
	text, err := json.Marshal([]any{s.Instances, others})
	ok(t, err)
	return string(text)
}

// of has the fleet be that of the same cloud, started again.
func (f *fleet) of(cloud *localcloud.Cloud) {
	own := configOf(cloud, account)
	f.cloud, f.ec2, f.groups = cloud, ec2.NewFromConfig(own), autoscaling.NewFromConfig(own)
}
