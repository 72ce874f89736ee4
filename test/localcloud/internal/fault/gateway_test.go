package fault_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// everybody is known.
type everybody struct{}

func (everybody) Identify(context.Context, string, string) (wire.Identity, error) {
	return wire.Identity{Account: "111122223333", ARN: "arn:aws:iam::111122223333:root"}, nil
}

// newClient returns a client of an EC2 that runs instances, and counts the requests that it worked on.
func newClient(t *testing.T, text string) (client *ec2.Client, v *clock.Virtual, worked *int) {
	t.Helper()
	r, v := newRules(t, text)
	worked = new(int)
	svc := wire.NewService("ec2")
	wire.Handle(svc, func(context.Context, *wire.Call, *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
		*worked++
		return &ec2.RunInstancesOutput{ReservationId: aws.String("r-1")}, nil
	})
	g := wire.NewGateway(wire.Options{Services: []*wire.Service{svc}, Accounts: everybody{}, Clock: v, Interceptor: r})
	return ec2.New(ec2.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://localhost"), HTTPClient: &http.Client{Transport: g}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "x", ""),
	}), v, worked
}

func run(ctx context.Context, client *ec2.Client, n int32) error {
	_, err := client.RunInstances(ctx, &ec2.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: &n, ImageId: aws.String("ami-0123456789abcdef0")})
	return err
}

func code(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// What a client of AWS sees: the instances of a request are counted, too.
func TestThrottlingOfAClient(t *testing.T) {
	client, v, worked := newClient(t, "throttling: aws")
	if err := run(t.Context(), client, 900); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), client, 200); code(err) != "RequestLimitExceeded" || *worked != 1 {
		t.Errorf("got %v after %d requests", err, *worked)
	}
	v.Advance(time.Minute)
	if err := run(t.Context(), client, 200); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestALostAnswerIsLost(t *testing.T) {
	client, _, worked := newClient(t, "rules: [{ match: { nth: 1 }, do: { lose: true } }]")
	if err := run(t.Context(), client, 1); err == nil || code(err) != "" || *worked != 1 {
		t.Errorf("got %v after %d requests", err, *worked)
	}
	if err := run(t.Context(), client, 1); err != nil || *worked != 2 {
		t.Errorf("got %v after %d requests", err, *worked)
	}
}

func TestAClientGivesUp(t *testing.T) {
	client, _, worked := newClient(t, "rules: [{ do: { hang: before } }]")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(errors.New("enough")) })
	if err := run(ctx, client, 1); err == nil || !strings.Contains(err.Error(), "cancel") || *worked != 0 {
		t.Errorf("got %v after %d requests", err, *worked)
	}
}

func TestServerErrorsReachTheClient(t *testing.T) {
	client, _, worked := newClient(t, "rules: [{ do: { fail: unavailable } }]")
	var response interface{ HTTPStatusCode() int }
	if err := run(t.Context(), client, 1); code(err) != "Unavailable" || !errors.As(err, &response) || response.HTTPStatusCode() != 503 || *worked != 0 {
		t.Errorf("got %v after %d requests", err, *worked)
	}
}

var _ wire.Interceptor = (*fault.Rules)(nil)
