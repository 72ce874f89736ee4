package localcloud_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud"
)

// fleet is the groups of one account: all of one launch template with two versions, the first of which they have.
type fleet struct {
	cloud    *localcloud.Cloud
	ec2      *ec2.Client
	groups   *autoscaling.Client
	images   [2]string
	snapshot string
	template string
	names    []string
}

// configOf returns what a client of an account is made with.
func configOf(c *localcloud.Cloud, account string) aws.Config {
	own := config(c)
	own.Credentials = credentials.NewStaticCredentialsProvider(account, "x", "")
	return own
}

// newFleet makes an account's image and launch template. The clock is moved by some seconds.
func newFleet(t testing.TB, cloud *localcloud.Cloud, account string) *fleet {
	t.Helper()
	own := configOf(cloud, account)
	f := &fleet{cloud: cloud, ec2: ec2.NewFromConfig(own), groups: autoscaling.NewFromConfig(own)}
	f.snapshot = newSnapshot(t, cloud, own)
	for i := range f.images {
		out, err := f.ec2.RegisterImage(t.Context(), &ec2.RegisterImageInput{
			Name: aws.String(fmt.Sprintf("web-%d", i+1)), Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: aws.String("/dev/xvda"),
			VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &f.snapshot}}},
		})
		ok(t, err)
		f.images[i] = *out.ImageId
	}
	made, err := f.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: f.data(0),
	})
	ok(t, err)
	f.template = *made.LaunchTemplate.LaunchTemplateId
	_, err = f.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &f.template, LaunchTemplateData: f.data(1)})
	ok(t, err)
	return f
}

func (f *fleet) data(image int) *ec2types.RequestLaunchTemplateData {
	return &ec2types.RequestLaunchTemplateData{ImageId: &f.images[image], InstanceType: ec2types.InstanceTypeT3Micro}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newSnapshot writes a snapshot of one block by EBS direct, and waits until it is complete.
func newSnapshot(t testing.TB, cloud *localcloud.Cloud, own aws.Config) string {
	t.Helper()
	direct := ebs.NewFromConfig(own)
	out, err := direct.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{
		VolumeSize: aws.Int64(1), Timeout: aws.Int32(4320), // minutes, the longest there is: some clocks run faster than we write
	})
	ok(t, err)
	block := make([]byte, 512<<10)
	sum := sha256.Sum256(block)
	_, err = direct.PutSnapshotBlock(t.Context(), &ebs.PutSnapshotBlockInput{
		SnapshotId: out.SnapshotId, BlockIndex: aws.Int32(0), BlockData: strings.NewReader(string(block)), DataLength: aws.Int32(int32(len(block))),
		Checksum: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	})
	ok(t, err)
	_, err = direct.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: out.SnapshotId, ChangedBlocksCount: aws.Int32(1)})
	ok(t, err)
	client := ec2.NewFromConfig(own)
	// The blocks of a snapshot are put together beside the clock, in the time that the host needs.
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); runtime.Gosched() {
		seen, err := client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*out.SnapshotId}})
		ok(t, err)
		if seen.Snapshots[0].State == ec2types.SnapshotStateCompleted {
			return *out.SnapshotId
		}
		ok(t, cloud.Advance(time.Second))
	}
	t.Fatalf("snapshot %s does not become complete", *out.SnapshotId)
	return ""
}

// addGroups makes groups of a size.
func (f *fleet) addGroups(t testing.TB, n, size int) {
	t.Helper()
	for i := range n {
		name := "web-" + strconv.Itoa(i)
		_, err := f.groups.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(int32(2 * size)), DesiredCapacity: aws.Int32(int32(size)),
			AvailabilityZones: []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"},
			LaunchTemplate:    f.version("1"),
		})
		ok(t, err)
		f.names = append(f.names, name)
	}
}

func (f *fleet) version(v string) *astypes.LaunchTemplateSpecification {
	return &astypes.LaunchTemplateSpecification{LaunchTemplateId: &f.template, Version: &v}
}

// refresh starts a refresh of every group to the second version.
func (f *fleet) refresh(t testing.TB, p astypes.RefreshPreferences) {
	t.Helper()
	for _, name := range f.names {
		_, err := f.groups.StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{
			AutoScalingGroupName: &name, DesiredConfiguration: &astypes.DesiredConfiguration{LaunchTemplate: f.version("2")}, Preferences: &p,
		})
		ok(t, err)
	}
}

// instances returns how many instances are in service, by the version that they were launched from.
func (f *fleet) instances(t testing.TB) map[string]int {
	t.Helper()
	all := map[string]int{}
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(f.groups, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		ok(t, err)
		for _, g := range page.AutoScalingGroups {
			for _, in := range g.Instances {
				if in.LifecycleState == astypes.LifecycleStateInService {
					all[aws.ToString(in.LaunchTemplate.Version)]++
				}
			}
		}
	}
	return all
}

// statuses returns how many refreshes have which status.
func (f *fleet) statuses(t testing.TB) map[astypes.InstanceRefreshStatus]int {
	t.Helper()
	all := map[astypes.InstanceRefreshStatus]int{}
	for _, name := range f.names {
		out, err := f.groups.DescribeInstanceRefreshes(t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &name})
		ok(t, err)
		for _, r := range out.InstanceRefreshes {
			all[r.Status]++
		}
	}
	return all
}

// remove deletes everything that the fleet is made of, and waits until it is gone.
func (f *fleet) remove(t testing.TB) {
	t.Helper()
	for _, name := range f.names {
		_, err := f.groups.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: aws.Bool(true)})
		ok(t, err)
	}
	ok(t, f.cloud.Advance(10*time.Minute))
	_, err := f.ec2.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &f.template})
	ok(t, err)
	for _, id := range f.images {
		_, err := f.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id})
		ok(t, err)
	}
	_, err = f.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &f.snapshot})
	ok(t, err)
}

// wellKept fails the test where the records contradict themselves.
func wellKept(t testing.TB, cloud *localcloud.Cloud) {
	t.Helper()
	found, err := cloud.Audit(context.WithoutCancel(t.Context()))
	ok(t, err)
	for i, line := range found {
		if i == 20 {
			t.Errorf("and %d more", len(found)-i)
			return
		}
		t.Error(line)
	}
}

// Groups refresh at once, and every one of them keeps its promises while the clock runs.
func TestManyGroupsRefreshAtOnce(t *testing.T) {
	cloud := simulated(t, localcloud.Config{Seed: 1})
	const groups, size = 20, 10
	f := newFleet(t, cloud, account)
	f.addGroups(t, groups, size)
	ok(t, cloud.Advance(2*time.Minute))
	if got := f.instances(t); got["1"] != groups*size {
		t.Fatalf("in service: %v", got)
	}
	f.refresh(t, astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(80)})
	for range 60 {
		ok(t, cloud.Advance(30*time.Second))
		wellKept(t, cloud)
	}
	if got := f.statuses(t); got[astypes.InstanceRefreshStatusSuccessful] != groups {
		t.Errorf("after half an hour the refreshes are %v", got)
	}
	if got := f.instances(t); got["2"] != groups*size || len(got) != 1 {
		t.Errorf("in service: %v", got)
	}
	f.remove(t)
	ok(t, cloud.Advance(time.Hour))
	wellKept(t, cloud)
	if left := cloud.Leaked(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// One in five new instances fails, and refreshes with an automatic rollback go back: nothing is lost on the way.
func TestRefreshesOfABadImage(t *testing.T) {
	const scenario = `
version: 1
rules:
- match: { tags: { "aws:ec2launchtemplate:version": "2" }, after: 30 }
  do: { fail: Server.InternalError }
`
	cloud := simulated(t, localcloud.Config{Seed: 1, Scenario: localcloud.Document{Name: "scenario.yaml", Text: []byte(scenario)}})
	const groups, size = 5, 10
	f := newFleet(t, cloud, account)
	f.addGroups(t, groups, size)
	ok(t, cloud.Advance(2*time.Minute))
	f.refresh(t, astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(80), AutoRollback: aws.Bool(true)})
	for range 300 {
		ok(t, cloud.Advance(time.Minute))
		wellKept(t, cloud)
	}
	if got := f.statuses(t); got[astypes.InstanceRefreshStatusRollbackSuccessful] == 0 || got[astypes.InstanceRefreshStatusInProgress] != 0 {
		t.Errorf("after five hours the refreshes are %v", got)
	}
	if got := f.instances(t); got["1"]+got["2"] != groups*size {
		t.Errorf("in service: %v", got)
	}
}

// BenchmarkHour is an hour in which 1,000 groups of 20 instances refresh at once. It must not take longer than 60 s on two cores, nor need more
// than 1 GB, nor may a Describe of one of the groups take more than 5 ms:
//
//	go test ./test/localcloud -run '^$' -bench Hour -benchtime 1x
func BenchmarkHour(b *testing.B) {
	for b.Loop() {
		hour(b)
	}
}

func hour(b *testing.B) {
	b.Helper()
	cloud := simulated(b, localcloud.Config{Seed: 1})
	const accounts, groups, size = 10, 100, 20
	fleets := make([]*fleet, accounts)
	began := time.Now()
	for i := range fleets {
		fleets[i] = newFleet(b, cloud, fmt.Sprintf("1111222233%02d", i))
	}
	each(fleets, func(f *fleet) { f.addGroups(b, groups, size) })
	ok(b, cloud.Advance(3*time.Minute))
	b.ReportMetric(time.Since(began).Seconds(), "s/start")
	each(fleets, func(f *fleet) {
		f.refresh(b, astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(90), InstanceWarmup: aws.Int32(60)})
	})

	spent := cpuTime(b)
	began = time.Now()
	ok(b, cloud.Advance(10*time.Minute))
	describe(b, fleets[accounts/2])
	ok(b, cloud.Advance(50*time.Minute))
	b.ReportMetric(time.Since(began).Seconds(), "s/hour")
	b.ReportMetric((cpuTime(b) - spent).Seconds(), "cpu-s/hour")

	b.ReportMetric(float64(peakMemory(b))/1e6, "MB-peak")
	for _, f := range fleets {
		if got := f.statuses(b); got[astypes.InstanceRefreshStatusSuccessful] != groups {
			b.Errorf("after an hour the refreshes are %v", got)
		}
		if got := f.instances(b); got["2"] != groups*size {
			b.Errorf("in service: %v", got)
		}
	}
	wellKept(b, cloud)
}

// each does something for all fleets at the same time.
func each(fleets []*fleet, do func(*fleet)) {
	var all sync.WaitGroup
	for _, f := range fleets {
		all.Go(func() { do(f) })
	}
	all.Wait()
}

// describe reports how long it takes to describe one group, and its refresh.
func describe(b *testing.B, f *fleet) {
	b.Helper()
	var took []time.Duration
	for _, name := range f.names {
		began := time.Now()
		out, err := f.groups.DescribeAutoScalingGroups(b.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
		took = append(took, time.Since(began))
		if ok(b, err); len(out.AutoScalingGroups) != 1 {
			b.Fatalf("%d groups have the name %s", len(out.AutoScalingGroups), name)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "ms/describe")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "ms/describe-p99")
}

// cpuTime returns what this process has had of all processors, which does not depend on what else runs there.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	ok(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// peakMemory returns the most memory that this process ever had, on Linux, elsewhere what it has asked the system for.
func peakMemory(b *testing.B) uint64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.Sys
	}
	for line := range strings.Lines(string(status)) {
		if kB, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kB), "kB")), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n << 10
		}
	}
	b.Fatal("no peak in /proc/self/status")
	return 0
}
