// Package ec2test is a cloud of EC2 alone for the tests of its parts: real clients in memory, a virtual clock, and a driver that does what the test
// says.
package ec2test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// The place of a test.
const (
	Region  = "us-east-1"
	Account = "123456789012"
	Other   = "210987654321" // another account
)

// TB is what the helpers need of a test, of a benchmark, or of a property.
type TB interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// Cloud is what a test works with.
type Cloud struct {
	Clock   *clock.Virtual
	Store   *state.Store
	Client  *ec2.Client // of Account
	gateway *wire.Gateway
}

// New returns a cloud with the operations that register adds.
func New(t TB, register func(store *state.Store, svc *wire.Service)) *Cloud {
	t.Helper()
	c := &Cloud{Clock: clock.NewVirtual(time.Date(2026, 9, 27, 4, 28, 26, 123456789, time.UTC))}
	c.Store = state.New(c.Clock)
	svc := wire.NewService("ec2")
	register(c.Store, svc)
	c.gateway = wire.NewGateway(wire.Options{Services: []*wire.Service{svc}, Accounts: accounts{}, Clock: c.Clock})
	if err := c.gateway.Check(); err != nil {
		t.Fatal(err)
	}
	c.Client = c.As(Account)
	return c
}

// As returns a client of an account. It never tries again.
func (c *Cloud) As(account string) *ec2.Client { return c.In(Region, account) }

// In returns a client of an account in a region.
func (c *Cloud) In(region, account string) *ec2.Client {
	return ec2.NewFromConfig(aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(account, "secret", ""),
		HTTPClient: &http.Client{Transport: c.gateway}, BaseEndpoint: aws.String("http://localhost"), RetryMaxAttempts: 1,
	})
}

// accounts takes every access key of 12 digits for the account of that number.
type accounts struct{}

func (accounts) Identify(_ context.Context, key, _ string) (wire.Identity, error) {
	return wire.Identity{Account: key, ARN: "arn:aws:iam::" + key + ":root"}, nil
}

// Update changes the records.
func (c *Cloud) Update(t TB, f func(r *state.Region)) {
	t.Helper()
	if err := c.Store.Update(Region, func(r *state.Region) error { f(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

// View reads the records.
func (c *Cloud) View(t TB, f func(r *state.Region)) {
	t.Helper()
	if err := c.Store.View(Region, func(r *state.Region) error { f(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

// Image adds an image of Account with an 8 GiB root volume that edit may change, and returns its id.
func (c *Cloud) Image(t TB, edit func(*state.Image)) string {
	t.Helper()
	id, snapshot := kit.ID("ami"), kit.ID("snap")
	row := &state.Image{Image: ec2types.Image{
		ImageId: &id, OwnerId: aws.String(Account), Name: aws.String("image " + id), State: ec2types.ImageStateAvailable, Architecture: ec2types.ArchitectureValuesX8664,
		EnaSupport: aws.Bool(true), RootDeviceName: aws.String("/dev/xvda"), RootDeviceType: ec2types.DeviceTypeEbs, VirtualizationType: ec2types.VirtualizationTypeHvm,
		PlatformDetails: aws.String("Linux/UNIX"), UsageOperation: aws.String("RunInstances"),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{
			DeleteOnTermination: aws.Bool(true), SnapshotId: &snapshot, VolumeSize: aws.Int32(8), VolumeType: ec2types.VolumeTypeGp3, Encrypted: aws.Bool(false),
		}}},
	}}
	if edit != nil {
		edit(row)
	}
	c.Update(t, func(r *state.Region) {
		r.Images.Put(id, row)
		r.Snapshots.Put(snapshot, &state.Snapshot{Disk: "sha256:0000000000000000000000000000000000000000000000000000000000000000", Snapshot: ec2types.Snapshot{
			SnapshotId: &snapshot, OwnerId: aws.String(Account), State: ec2types.SnapshotStateCompleted, VolumeSize: aws.Int32(8),
		}})
	})
	return id
}

// Failure is what a client sees of an error.
type Failure struct {
	Status        int
	Code, Message string
}

// FailureOf returns the status, the code and the message of the service's error; none at all where err is nil.
func FailureOf(err error) Failure {
	var f Failure
	if api := smithy.APIError(nil); errors.As(err, &api) {
		f.Code, f.Message = api.ErrorCode(), api.ErrorMessage()
	}
	if answer := (*smithyhttp.ResponseError)(nil); errors.As(err, &answer) {
		f.Status = answer.HTTPStatusCode()
	}
	if err != nil && f == (Failure{}) {
		f.Message = err.Error()
	}
	return f
}

// Expect fails the test unless err is the service's error with that code and, where it is not empty, that message; an empty code expects
// success.
func Expect(t TB, err error, code, message string) {
	t.Helper()
	got := FailureOf(err)
	if got.Code != code || code == "" && err != nil || message != "" && got.Message != message {
		t.Errorf("got  %s %q\nwant %s %q", got.Code, got.Message, code, message)
	}
	if want := map[bool]int{true: http.StatusPreconditionFailed, false: http.StatusBadRequest}[code == "DryRunOperation"]; code != "" && got.Status != want {
		t.Errorf("%s: got status %d, want %d", code, got.Status, want)
	}
}

// Driver is a compute.Driver that boots in four seconds, passes its checks in two minutes, and stops and ends in twenty seconds; unless Manual, where
// it only writes down what it is told.
type Driver struct {
	Clock    clock.Clock
	Observer compute.Observer
	Manual   bool

	mu    sync.Mutex
	calls []string
	specs map[string]compute.Spec
	up    map[string]bool // machines that exist
}

// Calls returns what the driver was told, such as "start i-1", and forgets it.
func (d *Driver) Calls() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := d.calls
	d.calls = nil
	return calls
}

// Spec returns what an instance was last started with.
func (d *Driver) Spec(id string) compute.Spec {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.specs[id]
}

// Machines returns how many machines have been started and not been ended.
func (d *Driver) Machines() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.up)
}

func (d *Driver) note(call, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, call+" "+id)
}

// Start boots a machine.
func (d *Driver) Start(s compute.Spec) {
	d.note("start", s.ID)
	d.mu.Lock()
	if d.specs == nil {
		d.specs, d.up = map[string]compute.Spec{}, map[string]bool{}
	}
	d.specs[s.ID], d.up[s.ID] = s, true
	d.mu.Unlock()
	if !d.Manual {
		a := compute.Addresses{Private: s.Addresses.Private, Public: "100.64.0.1"}
		d.Clock.AfterFunc(4*time.Second, func() { d.Observer.Running(s.Region, s.ID, a) })
		d.Clock.AfterFunc(2*time.Minute, func() { d.Observer.Status(s.Region, s.ID, true) })
	}
}

// Stop powers a machine off.
func (d *Driver) Stop(id string, force bool) {
	d.note(map[bool]string{false: "stop", true: "kill"}[force], id)
	d.end(id)
}

// Terminate ends a machine.
func (d *Driver) Terminate(id string) {
	d.note("terminate", id)
	d.mu.Lock()
	delete(d.up, id)
	d.mu.Unlock()
	d.end(id)
}

func (d *Driver) end(id string) {
	if !d.Manual {
		region := d.Spec(id).Region
		d.Clock.AfterFunc(20*time.Second, func() { d.Observer.Ended(region, id, compute.Ending{}) })
	}
}

// Reboot does nothing.
func (d *Driver) Reboot(id string) { d.note("reboot", id) }

// Probe says no.
func (d *Driver) Probe(_ string, _ compute.Check, done func(ok bool, reason string)) {
	done(false, "no machine")
}

// Console returns a line.
func (d *Driver) Console(id string) []byte { return []byte("console of " + id) }

// SetPorts notes the new ports.
func (d *Driver) SetPorts(id string, ports []compute.Port) {
	d.mu.Lock()
	defer d.mu.Unlock()
	spec := d.specs[id]
	spec.Ports = ports
	d.specs[id] = spec
	d.calls = append(d.calls, "ports "+id)
}

// SetMetadata notes the new metadata and tags.
func (d *Driver) SetMetadata(id string, m compute.Metadata, tags map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	spec := d.specs[id]
	spec.Metadata, spec.Tags = m, tags
	d.specs[id] = spec
	d.calls = append(d.calls, "metadata "+id)
}
