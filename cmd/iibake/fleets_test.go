package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/daemon"
)

// fleetCommands are those of the stories of promotions.
func fleetCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"group": group, "advance": advance, "until": until, "faults": faults, "version": newVersion}
}

// patience is how long a story waits for what must come.
const patience = 10 * time.Minute

// hall is a simulated cloud that stories make groups in.
type hall struct {
	ec2    *ec2.Client
	ebs    *ebs.Client
	groups *autoscaling.Client
}

func hallOf(p daemon.Process) hall {
	config := aws.Config{
		Region: "eu-west-1", BaseEndpoint: &p.Endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(defaultAccount, "x", ""),
	}
	return hall{ec2.NewFromConfig(config), ebs.NewFromConfig(config), autoscaling.NewFromConfig(config)}
}

// newVersion records a version of the image web, baked from the newest commit of the project in the current folder, that passed its tests and
// entered candidate: version FOLDER|ADDRESS VERSION
func newVersion(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: version CATALOG VERSION")
	}
	ctx := context.Background()
	c, dir := catalogAt(ts, args[0])
	store, err := disk.Open(filepath.Join(dir, "store"))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	digest, err := importDisk(ctx, store, args[1])
	ts.Check(err)
	commit, err := bake.ReadCommit(ctx, ts.MkAbs("."))
	ts.Check(err)
	img, err := bake.NewImages(c).Record(ctx, bake.Image{
		Ref: bake.Ref{Name: "web", Version: args[1]}, Arch: bake.AMD64, Key: bake.DigestOf([]byte(args[1])), Disk: digest, Commit: commit.Hash, Author: commit.Author,
		Size: 8 * bake.MiB, Stored: 512 * bake.KiB, Template: "images/web.yaml", Created: time.Now().UTC(),
	}, []bake.Package{{Name: "nginx", Version: args[1][:10], Arch: "amd64"}})
	ts.Check(err)
	v := test.Verdict{Image: img.Ref, Disk: img.Disk, At: img.Created, Results: []test.Result{{Boot: "bios", Name: "ssh", Status: test.Pass}}}
	ts.Check(test.NewVerdicts(c).Record(ctx, v))
	p := promote.Promotion{Channel: promote.Candidate, To: img.Ref, By: "ada", At: img.Created}
	if held, err := promote.NewChannels(c).Get(ctx, "web", promote.Candidate); err == nil {
		p.From = &held
	}
	_, err = promote.NewChannels(c).Move(ctx, p)
	ts.Check(err)
}

// group makes groups of instances that somebody made without iibake: group FOLDER SIZE [VERSION=$Latest] NAME...
func group(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: group FOLDER SIZE [VERSION=NUMBER] NAME...")
	}
	h, ctx := hallOf(processOf(ts, args)), context.Background()
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	version, names := "1", args[2:]
	if v, ok := strings.CutPrefix(names[0], "VERSION="); ok {
		version, names = v, names[1:]
	}
	ami, err := h.handmade(ctx)
	ts.Check(err)
	for _, name := range names {
		ts.Check(h.group(ctx, name, ami, version, size))
	}
	for _, name := range names {
		ts.Check(await(func() (bool, error) { return h.complete(ctx, name, size) }))
	}
}

// handmade returns an image of an empty disk, the same one each time.
func (h hall) handmade(ctx context.Context) (string, error) {
	found, err := h.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"handmade"}}},
	})
	if err != nil || len(found.Images) > 0 {
		if err == nil {
			return *found.Images[0].ImageId, nil
		}
		return "", err
	}
	snapshot, err := h.snapshot(ctx)
	if err != nil {
		return "", err
	}
	out, err := h.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{
		Name: aws.String("handmade"), Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: aws.String("/dev/xvda"),
		VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot}}},
	})
	if err != nil {
		return "", err
	}
	return *out.ImageId, nil
}

func (h hall) snapshot(ctx context.Context) (string, error) {
	out, err := h.ebs.StartSnapshot(ctx, &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Timeout: aws.Int32(4320)})
	if err != nil {
		return "", err
	}
	block := make([]byte, 512<<10)
	sum := sha256.Sum256(block)
	_, errPut := h.ebs.PutSnapshotBlock(ctx, &ebs.PutSnapshotBlockInput{
		SnapshotId: out.SnapshotId, BlockIndex: aws.Int32(0), BlockData: strings.NewReader(string(block)), DataLength: aws.Int32(int32(len(block))),
		Checksum: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	})
	_, errComplete := h.ebs.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{SnapshotId: out.SnapshotId, ChangedBlocksCount: aws.Int32(1)})
	if err := errors.Join(errPut, errComplete); err != nil {
		return "", err
	}
	return *out.SnapshotId, await(func() (bool, error) {
		seen, err := h.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*out.SnapshotId}})
		return err == nil && seen.Snapshots[0].State == ec2types.SnapshotStateCompleted, err
	})
}

func (h hall) group(ctx context.Context, name, ami, version string, size int) error {
	made, err := h.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &ami, InstanceType: ec2types.InstanceTypeT3Micro},
	})
	if err != nil {
		return err
	}
	_, err = h.groups.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(int32(size)), MaxSize: aws.Int32(int32(size + 2)),
		AvailabilityZones: []string{"eu-west-1a", "eu-west-1b"}, HealthCheckGracePeriod: aws.Int32(0),
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: made.LaunchTemplate.LaunchTemplateId, Version: &version},
	})
	return err
}

// complete reports whether all instances of a group are in service.
func (h hall) complete(ctx context.Context, name string, size int) (bool, error) {
	out, err := h.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		return false, err
	}
	in := 0
	for _, i := range out.AutoScalingGroups[0].Instances {
		if i.LifecycleState == astypes.LifecycleStateInService {
			in++
		}
	}
	return in == size, nil
}

// await tries until something is as it must come to be.
func await(try func() (bool, error)) error {
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		if done, err := try(); err != nil || done {
			return err
		}
	}
	return errors.New("it does not come")
}

// advance moves the clock of the cloud in a state folder: advance FOLDER TIME
func advance(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	_, err = admin.Client{Endpoint: processOf(ts, args).Endpoint}.Advance(context.Background(), d)
	ts.Check(err)
}

// faults gives the cloud in a state folder the rules of a file: faults FOLDER FILE
func faults(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(admin.Client{Endpoint: processOf(ts, args).Endpoint}.SetFaults(context.Background(), []byte(ts.ReadFile(args[1]))))
}

// until runs a command until its output matches: until REGEXP PROGRAM ARGUMENTS...
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[0])
	err := await(func() (bool, error) {
		_ = ts.Exec(args[1], args[2:]...) // which may find nothing yet
		return pattern.MatchString(ts.ReadFile("stdout")), nil
	})
	if err != nil {
		ts.Fatalf("no %q in\n%s%s", args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}
