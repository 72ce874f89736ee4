package survey_test

import (
	"crypto/sha256"
	"encoding/base64"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/ec2/target"
)

func (w *world) register(t *target.Target, name, snapshot string) string {
	w.t.Helper()
	out, err := target.EC2(t).RegisterImage(w.t.Context(), &ec2.RegisterImageInput{
		Name: &name, Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: aws.String("/dev/xvda"), VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot}}},
	})
	ok(w.t, err)
	return *out.ImageId
}

// snapshot writes a snapshot of one block.
func (w *world) snapshot(t *target.Target) string {
	w.t.Helper()
	out, err := target.EBS(t).StartSnapshot(w.t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Timeout: aws.Int32(4320)})
	ok(w.t, err)
	block := make([]byte, 512<<10)
	sum := sha256.Sum256(block)
	_, err = target.EBS(t).PutSnapshotBlock(w.t.Context(), &ebs.PutSnapshotBlockInput{
		SnapshotId: out.SnapshotId, BlockIndex: aws.Int32(0), BlockData: strings.NewReader(string(block)), DataLength: aws.Int32(int32(len(block))),
		Checksum: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	})
	ok(w.t, err)
	_, err = target.EBS(t).CompleteSnapshot(w.t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: out.SnapshotId, ChangedBlocksCount: aws.Int32(1)})
	ok(w.t, err)
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); runtime.Gosched() { // blocks are put together beside the clock
		seen, err := target.EC2(t).DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*out.SnapshotId}})
		ok(w.t, err)
		if seen.Snapshots[0].State == ec2types.SnapshotStateCompleted {
			return *out.SnapshotId
		}
		w.advance(time.Second)
	}
	w.t.Fatalf("snapshot %s does not become complete", *out.SnapshotId)
	return ""
}
