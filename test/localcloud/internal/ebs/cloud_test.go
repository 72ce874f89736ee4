package ebs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/clock"
	direct "github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/image"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	owner  = "111122223333"
	friend = "444455556666"
	region = "eu-west-1"
)

// everyone takes every access key for the account of that number.
type everyone struct{}

func (everyone) Identify(_ context.Context, key, _ string) (wire.Identity, error) {
	return wire.Identity{Account: key, ARN: "arn:aws:iam::" + key + ":root"}, nil
}

// cloud is EBS direct, with snapshots of EC2, in front of a store in a folder.
type cloud struct {
	t       testing.TB
	clock   *clock.Virtual
	store   *state.Store
	blocks  *disk.Store
	service *direct.Service
	gateway *wire.Gateway
}

func newCloud(t testing.TB) *cloud {
	t.Helper()
	now := clock.NewVirtual(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))
	return openCloud(t, now, state.New(now), t.TempDir())
}

// openCloud is newCloud for a store and a folder that there are, as after a restart.
func openCloud(t testing.TB, now *clock.Virtual, store *state.Store, dir string) *cloud {
	t.Helper()
	blocks, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blocks.Close() })
	c := &cloud{t: t, clock: now, store: store, blocks: blocks, service: direct.New(store, blocks)}
	data, compute := wire.NewService("ebs"), wire.NewService("ec2")
	c.service.Register(data)
	image.New(store, blocks).Register(compute)
	c.gateway = wire.NewGateway(wire.Options{Services: []*wire.Service{data, compute}, Accounts: everyone{}, Clock: now})
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

func (c *cloud) direct(account string) *ebs.Client {
	return ebs.NewFromConfig(c.config(account, region))
}

func (c *cloud) compute() *ec2.Client {
	return ec2.NewFromConfig(c.config(owner, region))
}

// block returns a block that nothing compresses, the same one for the same seed.
func block(seed byte) []byte {
	b := make([]byte, disk.BlockSize)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(s[:])
}

func aggregate(blocks ...[]byte) *string {
	h := sha256.New()
	for _, b := range blocks {
		s := sha256.Sum256(b)
		h.Write(s[:])
	}
	return aws.String(base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

func putInput(id string, index int32, b []byte) *ebs.PutSnapshotBlockInput {
	return &ebs.PutSnapshotBlockInput{
		SnapshotId: &id, BlockIndex: &index, BlockData: bytes.NewReader(b), DataLength: aws.Int32(disk.BlockSize),
		Checksum: aws.String(sum(b)), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	}
}

// start starts a snapshot of 1 GiB.
func (c *cloud) start(parent string) string {
	c.t.Helper()
	in := &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)}
	if parent != "" {
		in.ParentSnapshotId = &parent
	}
	out, err := c.direct(owner).StartSnapshot(c.t.Context(), in)
	if err != nil {
		c.t.Fatal(err)
	}
	return *out.SnapshotId
}

func (c *cloud) put(id string, index int32, b []byte) {
	c.t.Helper()
	if _, err := c.direct(owner).PutSnapshotBlock(c.t.Context(), putInput(id, index, b)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) complete(id string, count int32, checksum *string) ebstypes.Status {
	c.t.Helper()
	in := &ebs.CompleteSnapshotInput{SnapshotId: &id, ChangedBlocksCount: &count}
	if checksum != nil {
		in.Checksum, in.ChecksumAlgorithm = checksum, ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256
		in.ChecksumAggregationMethod = ebstypes.ChecksumAggregationMethodChecksumAggregationLinear
	}
	out, err := c.direct(owner).CompleteSnapshot(c.t.Context(), in)
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Status
}

// snapshot makes a snapshot with the blocks.
func (c *cloud) snapshot(parent string, blocks map[int32][]byte) string {
	c.t.Helper()
	id := c.start(parent)
	for index, b := range blocks {
		c.put(id, index, b)
	}
	c.complete(id, int32(len(blocks)), nil)
	c.clock.Advance(2 * time.Second)
	if got := c.describe(id); got.State != ec2types.SnapshotStateCompleted {
		c.t.Fatalf("snapshot is %s: %s", got.State, aws.ToString(got.StateMessage))
	}
	return id
}

func (c *cloud) describe(id string) ec2types.Snapshot {
	c.t.Helper()
	out, err := c.compute().DescribeSnapshots(c.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Snapshots[0]
}

// want fails unless err is the service's, with the HTTP status, code, reason and message.
func want(t testing.TB, err error, status int, code, reason, message string) {
	t.Helper()
	var api smithy.APIError
	var response *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		t.Errorf("error = %v, want %s: %s", err, code, message)
		return
	}
	got := ""
	if v, ok := errors.AsType[*ebstypes.ValidationException](err); ok {
		got = string(v.Reason)
	} else if n, ok := errors.AsType[*ebstypes.ResourceNotFoundException](err); ok {
		got = string(n.Reason)
	}
	if response.HTTPStatusCode() != status || api.ErrorCode() != code || got != reason || api.ErrorMessage() != message {
		t.Errorf("error = %d %s %s: %s\nwant    %d %s %s: %s", response.HTTPStatusCode(), api.ErrorCode(), got, api.ErrorMessage(), status, code, reason, message)
	}
}

func wantNotFound(t testing.TB, err error, id string) {
	t.Helper()
	want(t, err, 404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", "The snapshot '"+id+"' does not exist.")
}

func wantInvalid(t testing.TB, err error, reason, message string) {
	t.Helper()
	want(t, err, 400, "ValidationException", reason, message)
}
