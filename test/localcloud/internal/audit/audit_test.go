package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/audit"
	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const (
	owner = "111122223333"
	key   = owner + "/web"
)

// sound puts a group of four instances during a refresh into a region, with an image, a template, a parameter and a token: all is well.
func sound(r *state.Region) {
	g := &state.Group{Account: owner, ActiveRefresh: "r-1"}
	g.AutoScalingGroupName, g.AutoScalingGroupARN = aws.String("web"), aws.String("arn:web")
	g.MinSize, g.MaxSize, g.DesiredCapacity = aws.Int32(0), aws.Int32(9), aws.Int32(4)
	for _, id := range []string{"i-1", "i-2", "i-3", "i-4"} {
		in := &state.Instance{Account: owner, Group: "web", Address: "172.31.0." + id[2:]}
		in.InstanceId, in.PrivateIpAddress, in.State = aws.String(id), aws.String("10.0.0."+id[2:]), &types.InstanceState{Name: types.InstanceStateNameRunning}
		r.Instances.Put(id, in)
		m := state.Member{}
		m.InstanceId, m.LifecycleState, m.HealthStatus = aws.String(id), as.LifecycleStateInService, aws.String("Healthy")
		g.Members = append(g.Members, m)
	}
	r.Groups.Put(key, g)
	f := &state.Refresh{Account: owner, GroupARN: "arn:web", Progress: refresh.Progress{Status: as.InstanceRefreshStatusInProgress}}
	f.Preferences = &as.RefreshPreferences{MinHealthyPercentage: aws.Int32(75)}
	r.Refreshes.Put("r-1", f)
	v := &state.Volume{Account: owner}
	v.State, v.Attachments = types.VolumeStateInUse, []types.VolumeAttachment{{InstanceId: aws.String("i-1")}}
	r.Volumes.Put("vol-1", v)
	s := &state.Snapshot{Disk: "sha256:x"}
	s.State = types.SnapshotStateCompleted
	r.Snapshots.Put("snap-1", s)
	i := &state.Image{}
	i.OwnerId, i.Name = aws.String(owner), aws.String("base")
	i.BlockDeviceMappings = []types.BlockDeviceMapping{{Ebs: &types.EbsBlockDevice{SnapshotId: aws.String("snap-1")}}, {VirtualName: aws.String("ephemeral0")}}
	r.Images.Put("ami-1", i)
	t := &state.LaunchTemplate{Account: owner, Counter: 3}
	t.LaunchTemplateName, t.DefaultVersionNumber = aws.String("web"), aws.Int64(1)
	t.Versions = []types.LaunchTemplateVersion{{VersionNumber: aws.Int64(1)}, {VersionNumber: aws.Int64(3)}}
	r.LaunchTemplates.Put("lt-1", t)
	r.Parameters.Put(owner+"//p", &state.Parameter{Account: owner, Name: "/p", Counter: 1, Versions: []state.ParameterVersion{{Version: 1, Labels: []string{"a"}}}})
	r.Tokens.Put(state.TokenKey(owner, "ec2:RunInstances", "t"), &state.Token{Request: "x", Made: r.Now()})
}

func findings(t *testing.T, spoil func(r *state.Region)) string {
	t.Helper()
	s := state.New(clock.NewVirtual(time.Unix(1e9, 0)))
	err := s.Update("eu-west-1", func(r *state.Region) error {
		sound(r)
		spoil(r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(audit.Check(s), "\n")
}

func TestAllIsWell(t *testing.T) {
	if got := findings(t, func(*state.Region) {}); got != "" {
		t.Errorf("found\n%s", got)
	}
}

// end begins the end of an instance, in EC2 and in its group.
func end(r *state.Region, i int) *state.Member {
	g := r.Groups.Edit(key)
	g.Members[i].EndingAt = r.Now()
	r.Instances.Edit(*g.Members[i].InstanceId).State.Name = types.InstanceStateNameShuttingDown
	return &g.Members[i]
}

func TestWhatIsWrongIsFound(t *testing.T) {
	for want, spoil := range map[string]func(r *state.Region){
		"instance i-1 has no owner":                                                   func(r *state.Region) { r.Instances.Edit("i-1").Account = "" },
		"instance i-9 is in no group, although it was launched by web":                func(r *state.Region) { put(r, "i-9", "web") },
		"instance i-9 is in no group, although it was launched by gone":               func(r *state.Region) { put(r, "i-9", "gone") },
		"instances i-1 and i-2 both have the address 172.31.0.1":                      func(r *state.Region) { r.Instances.Edit("i-2").Address = "172.31.0.1" },
		"instance i-1 runs without an address":                                        func(r *state.Region) { r.Instances.Edit("i-1").PrivateIpAddress = nil },
		"instance i-1 has no state":                                                   func(r *state.Region) { r.Instances.Edit("i-1").State = nil },
		"group 111122223333/web has instance i-1, which does not exist, as InService": func(r *state.Region) { r.Instances.Delete("i-1") },
		"group 111122223333/web has instance i-1, which is of 111122223333/":          func(r *state.Region) { r.Instances.Edit("i-1").Group = "" },
		"group 111122223333/web wants 4 instances, which is not from 0 to 3":          func(r *state.Region) { r.Groups.Edit(key).MaxSize = aws.Int32(3) },
		"instance i-1 is in the groups 111122223333/other and 111122223333/web":       func(r *state.Region) { other(r) },
		"instance i-1 has the volume vol-9, which does not exist":                     func(r *state.Region) { attach(r, "vol-9") },
		"instance i-1 has the security group sg-9, which does not exist":              func(r *state.Region) { secure(r) },
		"instance i-1 is in the subnet subnet-9, which does not exist":                func(r *state.Region) { r.Instances.Edit("i-1").SubnetId = aws.String("subnet-9") },
		"volume vol-1 has no owner":                                                   func(r *state.Region) { r.Volumes.Edit("vol-1").Account = "" },
		"volume vol-1 is in use by nobody":                                            func(r *state.Region) { r.Volumes.Edit("vol-1").Attachments = nil },
		"volume vol-1 is available and attached":                                      func(r *state.Region) { r.Volumes.Edit("vol-1").State = types.VolumeStateAvailable },
		"volume vol-1 is attached to instance i-1, which is gone":                     func(r *state.Region) { r.Instances.Delete("i-1") },
		"refresh r-1 is active, but its group is refreshed by \"\"":                   func(r *state.Region) { r.Groups.Edit(key).ActiveRefresh = "" },
		"group 111122223333/web is refreshed by r-2, which is not active":             func(r *state.Region) { r.Groups.Edit(key).ActiveRefresh = "r-2" },
		"refresh r-1 is of the group arn:web, which does not exist":                   func(r *state.Region) { r.Groups.Delete(key) },
		"image ami-1 has the snapshot snap-1, which does not exist":                   func(r *state.Region) { r.Snapshots.Edit("snap-1").Deleted = true },
		"images ami-1 and ami-2 both have the name 111122223333/base":                 func(r *state.Region) { r.Images.Put("ami-2", r.Images.Get("ami-1")) },
		"snapshot snap-1 is complete without a disk":                                  func(r *state.Region) { r.Snapshots.Edit("snap-1").Disk = "" },
		"launch template lt-1 has the versions [1 3] of 2":                            func(r *state.Region) { r.LaunchTemplates.Edit("lt-1").Counter = 2 },
		"launch template lt-1 has the default version 2, which does not exist":        func(r *state.Region) { r.LaunchTemplates.Edit("lt-1").DefaultVersionNumber = aws.Int64(2) },
		"launch templates lt-1 and lt-2 both have the name 111122223333/web":          func(r *state.Region) { r.LaunchTemplates.Put("lt-2", r.LaunchTemplates.Get("lt-1")) },
		"parameter 111122223333//p is /p of 111122223333 with the versions [] of 1":   func(r *state.Region) { r.Parameters.Edit(owner + "//p").Versions = nil },
		"parameter 111122223333//p has the label a twice":                             func(r *state.Region) { r.Parameters.Edit(owner + "//p").Versions[0].Labels = []string{"a", "a"} },
		"token x stands for the request \"\"":                                         func(r *state.Region) { r.Tokens.Put("x", &state.Token{}) },
		"group 111122223333/web has 2 healthy instances of at least 3 during refresh r-1, and lost only 0 to others": func(r *state.Region) {
			begun(end(r, 0), r)
			begun(end(r, 1), r)
		},
	} {
		if got := findings(t, spoil); !strings.Contains(got, "eu-west-1: "+want) {
			t.Errorf("found\n%s\nwithout %s", got, want)
		}
	}
}

// begun has a refresh end an instance that was in service, and launch another in its place.
func begun(m *state.Member, r *state.Region) {
	id := *m.InstanceId + "0"
	m.InService, m.Activity = r.Now(), "e-"+id
	put(r, id, "web")
	g := r.Groups.Edit(key)
	next := state.Member{Activity: "a-" + id}
	next.InstanceId, next.LifecycleState = aws.String(id), as.LifecycleStatePending
	g.Members = append(g.Members, next)
	for _, activity := range []string{"e-", "a-"} {
		g.Activities = append(g.Activities, as.Activity{
			ActivityId: aws.String(activity + id), Cause: aws.String("At T something happened in response to an instance refresh."),
		})
	}
}

func TestWhatOthersTookIsNotTheRefreshs(t *testing.T) {
	for name, take := range map[string]func(r *state.Region){
		"one replaced": func(r *state.Region) { begun(end(r, 0), r) },
		"unhealthy": func(r *state.Region) {
			g := r.Groups.Edit(key)
			g.Members[0].HealthStatus, g.Members[1].Unhealthy = aws.String("Unhealthy"), "a user"
		},
		"impaired": func(r *state.Region) {
			r.Instances.Edit("i-1").Impaired, r.Instances.Edit("i-2").Impaired = r.Now(), r.Now()
		},
		"gone": func(r *state.Region) {
			r.Groups.Edit(key).Members = r.Groups.Edit(key).Members[:1]
			drop(r, "i-2", "i-3", "i-4")
		},
		"detached, and fewer wanted": func(r *state.Region) {
			g := r.Groups.Edit(key)
			g.Members, g.DesiredCapacity = g.Members[:2], aws.Int32(3)
			drop(r, "i-3", "i-4")
			begun(end(r, 0), r)
			g.Activities = append(g.Activities, as.Activity{Description: aws.String("Detaching EC2 instance: i-3"), StartTime: aws.Time(r.Now()), Cause: aws.String("x")},
				as.Activity{Description: aws.String("Terminating EC2 instance: i-4"), StartTime: aws.Time(r.Now()), Cause: aws.String("x")})
		},
		"replaced before they were in service": func(r *state.Region) {
			for i := range 2 {
				m := end(r, i)
				begun(m, r)
				r.Groups.Edit(key).Members[i].InService = time.Time{}
			}
		},
		"taken by the refresh before": func(r *state.Region) {
			begun(end(r, 0), r)
			begun(end(r, 1), r)
			r.Refreshes.Edit("r-1").Progress.Started = r.Now().Add(time.Second)
		},
		"standing by until it was forgotten": func(r *state.Region) {
			r.Groups.Edit(key).Members[0].Standby = true
			r.Instances.Delete("i-1")
			r.Volumes.Delete("vol-1")
		},
		"finished": func(r *state.Region) {
			r.Refreshes.Edit("r-1").Progress.Status = as.InstanceRefreshStatusSuccessful
			r.Groups.Edit(key).ActiveRefresh = ""
			end(r, 0)
			end(r, 1)
		},
	} {
		if got := findings(t, take); got != "" {
			t.Errorf("%s: found\n%s", name, got)
		}
	}
}

func put(r *state.Region, id, group string) {
	in := &state.Instance{Account: owner, Group: group}
	in.InstanceId, in.State = aws.String(id), &types.InstanceState{Name: types.InstanceStateNamePending}
	r.Instances.Put(id, in)
}

func drop(r *state.Region, ids ...string) {
	for _, id := range ids {
		r.Instances.Delete(id)
	}
}

func attach(r *state.Region, volume string) {
	r.Instances.Edit("i-1").BlockDeviceMappings = []types.InstanceBlockDeviceMapping{{Ebs: &types.EbsInstanceBlockDevice{VolumeId: aws.String(volume)}}}
}

func secure(r *state.Region) {
	r.Instances.Edit("i-1").SecurityGroups = []types.GroupIdentifier{{GroupId: aws.String("sg-9")}}
}

func other(r *state.Region) {
	g := &state.Group{Account: owner}
	g.AutoScalingGroupName, g.AutoScalingGroupARN = aws.String("other"), aws.String("arn:other")
	g.Members = r.Groups.Get(key).Members[:1]
	r.Groups.Put(owner+"/other", g)
}

func TestBlocks(t *testing.T) {
	blocks, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blocks.Close() }()
	s := state.New(clock.NewVirtual(time.Unix(1e9, 0)))
	missing := string(bake.DigestOf([]byte("missing")))
	_ = s.Update("eu-west-1", func(r *state.Region) error {
		r.Snapshots.Put("snap-1", &state.Snapshot{})
		r.Snapshots.Put("snap-2", &state.Snapshot{Disk: bake.Digest(missing), Deleted: true})
		return nil
	})
	if got, err := audit.Blocks(t.Context(), s, blocks); err != nil || len(got) != 0 {
		t.Errorf("found %v, %v", got, err)
	}
	_ = s.Update("eu-west-1", func(r *state.Region) error {
		r.Snapshots.Put("snap-3", &state.Snapshot{Disk: bake.Digest(missing)})
		return nil
	})
	if got, err := audit.Blocks(t.Context(), s, blocks); err == nil && (len(got) != 1 || !strings.Contains(got[0], "snapshot snap-3")) {
		t.Errorf("found %v, %v", got, err)
	}
}
