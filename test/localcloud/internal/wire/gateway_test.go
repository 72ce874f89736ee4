package wire_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
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
