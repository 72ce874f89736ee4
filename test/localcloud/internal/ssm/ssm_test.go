package ssm_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/ssm"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	region  = "eu-west-1"
	account = "111122223333"
	other   = "999988887777"
	image   = "ami-0123456789abcdef0"
)

// accounts gives every access key the account of its name.
type accounts struct{}

func (accounts) Identify(_ context.Context, accessKey, _ string) (wire.Identity, error) {
	return wire.Identity{Account: accessKey[4:16], ARN: "arn:aws:iam::" + accessKey[4:16] + ":user/test"}, nil
}

// windows is how late values are validated besides what is normal.
type windows struct{ late time.Duration }

func (w *windows) Window(kind string) time.Duration {
	if kind == "ssm:image-valid" {
		return w.late
	}
	return 0
}

type world struct {
	*testing.T
	clock   *clock.Virtual
	store   *state.Store
	windows *windows
	ssm     *ssm.Service
	client  *awsssm.Client
	other   *awsssm.Client // of another account
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: clock.NewVirtual(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)), windows: &windows{}}
	w.store = state.New(w.clock)
	w.ssm = ssm.New(w.store, w.windows)
	svc := wire.NewService("ssm")
	w.ssm.Register(svc)
	g := wire.NewGateway(wire.Options{Services: []*wire.Service{svc}, Accounts: accounts{}, Clock: w.clock})
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	w.client, w.other = client(g, account), client(g, other)
	return w
}

func client(g *wire.Gateway, account string) *awsssm.Client {
	return awsssm.New(awsssm.Options{
		Region: region, BaseEndpoint: aws.String("http://cloud.test"), HTTPClient: &http.Client{Transport: g}, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA" + account, SecretAccessKey: "secret"}, nil
		}),
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) update(f func(r *state.Region)) {
	w.Helper()
	w.must(w.store.Update(region, func(r *state.Region) error { f(r); return nil }))
}

// put puts a text parameter, over the one there is.
func (w *world) put(name, value string, change ...func(*awsssm.PutParameterInput)) (int64, error) {
	in := &awsssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString, Overwrite: aws.Bool(true)}
	for _, f := range change {
		f(in)
	}
	out, err := w.client.PutParameter(w.Context(), in)
	if err != nil {
		return 0, err
	}
	return out.Version, nil
}

func asImage(in *awsssm.PutParameterInput) { in.DataType = aws.String("aws:ec2:image") }
func first(in *awsssm.PutParameterInput)   { in.Overwrite = nil }

// get returns a parameter as VALUE vVERSION, or the code of the error.
func (w *world) get(reference string) string {
	w.Helper()
	out, err := w.client.GetParameter(w.Context(), &awsssm.GetParameterInput{Name: &reference, WithDecryption: aws.Bool(true)})
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	w.must(err)
	return fmt.Sprintf("%s v%d", *out.Parameter.Value, out.Parameter.Version)
}

func (w *world) wantGet(reference, want string) {
	w.Helper()
	if got := w.get(reference); got != want {
		w.Errorf("%s is %q, want %q", reference, got, want)
	}
}

func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Errorf("error is %v, want %s", err, code)
		return
	}
	if e.ErrorCode() != code || text != "" && !strings.HasPrefix(e.ErrorMessage(), text) {
		t.Errorf("error is %s: %q, want %s: %q", e.ErrorCode(), e.ErrorMessage(), code, text)
	}
}

// addImage adds the image, of an owner, that users may use.
func (w *world) addImage(owner string, status ec2types.ImageState, users ...string) {
	w.Helper()
	w.update(func(r *state.Region) {
		row := &state.Image{}
		row.ImageId, row.OwnerId, row.State = aws.String(image), aws.String(owner), status
		for _, u := range users {
			p := ec2types.LaunchPermission{UserId: aws.String(u)}
			if u == "all" {
				p = ec2types.LaunchPermission{Group: ec2types.PermissionGroupAll}
			}
			row.Permissions = append(row.Permissions, p)
		}
		r.Images.Put(image, row)
	})
}
