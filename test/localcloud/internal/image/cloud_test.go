package image_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	direct "github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/image"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	owner           = "111122223333"
	friend          = "444455556666"
	ireland, oregon = "eu-west-1", "us-west-2"
)

// everyone takes every access key for the account of that number.
type everyone struct{}

func (everyone) Identify(_ context.Context, key, _ string) (wire.Identity, error) {
	return wire.Identity{Account: key, ARN: "arn:aws:iam::" + key + ":root"}, nil
}

// cloud is the images and snapshots of EC2, and EBS direct.
type cloud struct {
	t       testing.TB
	clock   *clock.Virtual
	store   *state.Store
	blocks  *disk.Store
	service *image.Service
	gateway *wire.Gateway
	root    string // a snapshot of the owner's, of 1 GiB, with block 0
}

func newCloud(t testing.TB) *cloud {
	t.Helper()
	c := openCloud(t, clock.NewVirtual(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)), nil, t.TempDir())
	c.root = c.seedSnapshot(owner, 1)
	return c
}

func openCloud(t testing.TB, now *clock.Virtual, store *state.Store, dir string) *cloud {
	t.Helper()
	blocks, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blocks.Close() })
	if store == nil {
		store = state.New(now)
	}
	c := &cloud{t: t, clock: now, store: store, blocks: blocks, service: image.New(store, blocks)}
	compute, data := wire.NewService("ec2"), wire.NewService("ebs")
	c.service.Register(compute)
	ebs.New(store, blocks).Register(data)
	c.gateway = wire.NewGateway(wire.Options{Services: []*wire.Service{compute, data}, Accounts: everyone{}, Clock: now})
	if err := c.gateway.Check(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cloud) config(account, region string) aws.Config {
	return aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(account, "secret", ""),
		HTTPClient: &http.Client{Transport: c.gateway}, BaseEndpoint: aws.String("http://localhost"), RetryMaxAttempts: 1,
	}
}

func (c *cloud) ec2(account, region string) *ec2.Client {
	return ec2.NewFromConfig(c.config(account, region))
}

// diskOf stores a disk of gib GiB whose first block is noise.
func (c *cloud) diskOf(gib int64, seed byte) bake.Digest {
	c.t.Helper()
	f, err := os.CreateTemp(c.t.TempDir(), "disk-*")
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, disk.BlockSize)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	if _, err := f.Write(b); err != nil {
		c.t.Fatal(err)
	}
	if err := f.Truncate(gib << 30); err != nil {
		c.t.Fatal(err)
	}
	d, err := c.blocks.Import(c.t.Context(), f, "", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

// seedSnapshot makes a snapshot without the API.
func (c *cloud) seedSnapshot(account string, gib int32) string {
	c.t.Helper()
	id, err := c.service.Seed(c.t.Context(), image.Seed{
		Region: ireland, Account: account, Name: "seed " + c.clock.Now().Format("150405.000000"), Disk: c.diskOf(int64(gib), 1), Arch: bake.AMD64,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := c.ec2(account, ireland).DescribeImages(c.t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.ec2(account, ireland).DeregisterImage(c.t.Context(), &ec2.DeregisterImageInput{ImageId: &id}); err != nil {
		c.t.Fatal(err)
	}
	return *out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId
}

func registerInput(name, snapshot string) *ec2.RegisterImageInput {
	return &ec2.RegisterImageInput{
		Name: &name, Architecture: ec2types.ArchitectureValuesX8664, VirtualizationType: aws.String("hvm"), RootDeviceName: aws.String("/dev/xvda"),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot}}},
	}
}

// register registers an image of the root snapshot.
func (c *cloud) register(name string) string {
	c.t.Helper()
	out, err := c.ec2(owner, ireland).RegisterImage(c.t.Context(), registerInput(name, c.root))
	if err != nil {
		c.t.Fatal(err)
	}
	return *out.ImageId
}

// images describes images as an account sees them.
func (c *cloud) images(account, region string, in *ec2.DescribeImagesInput) []ec2types.Image {
	c.t.Helper()
	out, err := c.ec2(account, region).DescribeImages(c.t.Context(), in)
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Images
}

func (c *cloud) image(account, region, id string) ec2types.Image {
	c.t.Helper()
	all := c.images(account, region, &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDisabled: aws.Bool(true)})
	if len(all) != 1 {
		c.t.Fatalf("%s in %s sees %d images", account, region, len(all))
	}
	return all[0]
}

func (c *cloud) snapshot(account, region, id string) ec2types.Snapshot {
	c.t.Helper()
	out, err := c.ec2(account, region).DescribeSnapshots(c.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Snapshots[0]
}

// share lets an account launch an image, and all if account is all.
func (c *cloud) share(id, account string) {
	c.t.Helper()
	p := ec2types.LaunchPermission{UserId: &account}
	if account == "all" {
		p = ec2types.LaunchPermission{Group: ec2types.PermissionGroupAll}
	}
	_, err := c.ec2(owner, ireland).ModifyImageAttribute(c.t.Context(), &ec2.ModifyImageAttributeInput{
		ImageId: &id, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{p}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) shareSnapshot(id string) {
	c.t.Helper()
	_, err := c.ec2(owner, ireland).ModifySnapshotAttribute(c.t.Context(), &ec2.ModifySnapshotAttributeInput{
		SnapshotId: &id, CreateVolumePermission: &ec2types.CreateVolumePermissionModifications{Add: []ec2types.CreateVolumePermission{{UserId: aws.String(friend)}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// firstBlock returns the block 0 of a snapshot, through EBS direct.
func (c *cloud) firstBlock(account, region, id string) []byte {
	c.t.Helper()
	client := direct.NewFromConfig(c.config(account, region))
	list, err := client.ListSnapshotBlocks(c.t.Context(), &direct.ListSnapshotBlocksInput{SnapshotId: &id})
	if err != nil || len(list.Blocks) == 0 {
		c.t.Fatalf("%+v, %v", list, err)
	}
	out, err := client.GetSnapshotBlock(c.t.Context(), &direct.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: aws.Int32(0), BlockToken: list.Blocks[0].BlockToken})
	if err != nil {
		c.t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(out.BlockData); err != nil {
		c.t.Fatal(err)
	}
	return b.Bytes()
}

// want fails unless err is EC2's with the code and the message.
func want(t testing.TB, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || api.ErrorMessage() != message {
		t.Errorf("error = %v\nwant %s: %s", err, code, message)
	}
}

func wantDryRun(t testing.TB, err error) {
	t.Helper()
	var response *awshttp.ResponseError
	want(t, err, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	if !errors.As(err, &response) || response.HTTPStatusCode() != 412 {
		t.Errorf("error = %v", err)
	}
}
