package wire_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// everyone takes every access key of 12 digits for the account of that number.
type everyone struct{}

func (everyone) Identify(_ context.Context, key, token string) (wire.Identity, error) {
	switch {
	case token == "expired":
		return wire.Identity{}, wire.ErrExpiredToken
	case len(key) != 12:
		return wire.Identity{}, wire.ErrUnknownKey
	}
	return wire.Identity{Account: key, ARN: "arn:aws:iam::" + key + ":root"}, nil
}

const account = "123456789012"

func newGateway(services ...*wire.Service) *wire.Gateway {
	return wire.NewGateway(wire.Options{Services: services, Accounts: everyone{}, Clock: clock.Real{}})
}

// config is that of a client in memory.
func config(g *wire.Gateway) aws.Config {
	return aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(account, "secret", ""),
		HTTPClient: &http.Client{Transport: g}, BaseEndpoint: aws.String("http://localhost"), RetryMaxAttempts: 1,
	}
}

func TestRunInstances(t *testing.T) {
	s := wire.NewService("ec2")
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	wire.Handle(s, func(_ context.Context, c *wire.Call, in *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
		if c.Account != account || c.Region != "eu-west-1" || *in.MinCount != 1 || in.TagSpecifications[0].Tags[0].Key == nil {
			t.Errorf("got %+v %+v", c, in)
		}
		return &ec2.RunInstancesOutput{OwnerId: &c.Account, Instances: []types.Instance{{InstanceId: aws.String("i-<&>"), LaunchTime: &at, State: &types.InstanceState{Code: aws.Int32(0)}, BlockDeviceMappings: []types.InstanceBlockDeviceMapping{}}}}, nil
	})
	g := newGateway(s)
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	out, err := ec2.NewFromConfig(config(g)).RunInstances(t.Context(), &ec2.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: aws.String("ami-1"),
		TagSpecifications: []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if in := out.Instances[0]; *in.InstanceId != "i-<&>" || !in.LaunchTime.Equal(at) || in.BlockDeviceMappings == nil {
		t.Errorf("got %+v", in)
	}
}

// Clients of a cloud in virtual time sign in their own.
func TestSignaturesAreInTheTimeOfClients(t *testing.T) {
	there := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	s := wire.NewService("ec2")
	wire.Handle(s, func(_ context.Context, c *wire.Call, _ *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
		if !c.Time.Equal(there) {
			t.Errorf("called at %v", c.Time)
		}
		return nil, nil //nolint:nilnil // is an empty output
	})
	o := wire.Options{Services: []*wire.Service{s}, Accounts: everyone{}, Clock: clock.NewVirtual(there)}
	if _, err := terminate(wire.NewGateway(o)); err != nil {
		t.Error(err)
	}
	o.Signing = clock.NewVirtual(there)
	if _, err := terminate(wire.NewGateway(o)); err == nil || !strings.Contains(err.Error(), "AuthFailure") {
		t.Errorf("got %v", err)
	}
}

func TestSockets(t *testing.T) {
	lost := refuser{after: wire.ErrNoAnswer}
	for name, i := range map[string]wire.Interceptor{"answered": nil, "lost": lost} {
		server := httptest.NewServer(wire.NewGateway(wire.Options{Services: failing(nil), Accounts: everyone{}, Clock: clock.Real{}, Interceptor: i}))
		c := config(nil)
		c.HTTPClient, c.BaseEndpoint = server.Client(), &server.URL
		_, err := ec2.NewFromConfig(c).TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{"i-1"}})
		if (err != nil) != (i != nil) {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

func TestStreamsAreClosed(t *testing.T) {
	for _, fault := range []error{nil, wire.Errorf("RequestThrottledException", "slow down")} {
		body := &watchedBody{Reader: strings.NewReader("block")}
		s := wire.NewService("ebs")
		wire.Handle(s, func(context.Context, *wire.Call, *ebs.GetSnapshotBlockInput) (*ebs.GetSnapshotBlockOutput, error) {
			return &ebs.GetSnapshotBlockOutput{BlockData: body}, nil
		})
		g := wire.NewGateway(wire.Options{Services: []*wire.Service{s}, Accounts: everyone{}, Clock: clock.Real{}, Interceptor: refuser{after: fault}})
		got := send(t, g, raw{method: "GET", service: "ebs", target: "/snapshots/snap-0123456789abcdef0/blocks/0?blockToken=a"})
		if !body.closed || (got.body == "block") != (fault == nil) {
			t.Errorf("fault %v: closed %v, %d %s", fault, body.closed, got.status, got.body)
		}
	}
}

type watchedBody struct {
	io.Reader
	closed bool
}

func (b *watchedBody) Close() error {
	b.closed = true
	return nil
}

func TestCloudWatchCodesAreThoseOfQuery(t *testing.T) {
	names := slices.Repeat([]string{"a"}, 101)
	_, err := cloudwatch.NewFromConfig(config(newGateway(failing(nil)...))).DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: names})
	if err == nil || !strings.Contains(err.Error(), "ValidationError: 1 validation error detected: Value '[a, a, ") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsStaySmall(t *testing.T) {
	names := slices.Repeat([]string{""}, 20000)
	long := slices.Repeat([]string{strings.Repeat("a", 3000)}, 100)
	for _, names := range [][]string{names, long} {
		_, err := cloudwatch.NewFromConfig(config(newGateway(failing(nil)...))).DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: names})
		if err == nil || !strings.Contains(err.Error(), "10 validation errors detected") || len(err.Error()) > 20000 {
			t.Errorf("got %v", err)
		}
	}
}
