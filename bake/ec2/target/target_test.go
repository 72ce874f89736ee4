package target_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/test/localcloud"
)

const (
	home  = "111122223333"
	other = "444455556666"
)

// world is a simulated cloud, and the calls that were made to it.
type world struct {
	cloud *localcloud.Cloud
	mu    sync.Mutex
	calls []target.Call
}

func newWorld(t *testing.T, faults string) *world {
	t.Helper()
	cloud, err := localcloud.New(localcloud.Config{Simulate: true, Faults: localcloud.Document{Name: "faults", Text: []byte(faults)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	return &world{cloud: cloud}
}

// options let time pass on the cloud's clock only.
func (w *world) options() target.Options {
	return target.Options{
		Transport: w.cloud.Client().Transport, Now: w.cloud.Now,
		Sleep: func(_ context.Context, d time.Duration) error { return w.cloud.Advance(d) },
		Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) {
			return 0, w.cloud.Advance(time.Second)
		}),
		Observe: func(c target.Call) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.calls = append(w.calls, c)
		},
	}
}

func (w *world) open(t *testing.T, specs ...target.Spec) []*target.Target {
	t.Helper()
	set := target.NewSet(specs, w.options())
	opened := make([]*target.Target, len(specs))
	for i, spec := range specs {
		var err error
		if opened[i], err = set.Get(t.Context(), spec.Name); err != nil {
			t.Fatal(err)
		}
	}
	return opened
}

// made returns the calls as SERVICE:Operation, and forgets them.
func (w *world) made() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, c := range w.calls {
		all = append(all, c.Service+":"+c.Operation)
	}
	w.calls = nil
	return all
}

func local(name, region string) target.Spec {
	return target.Spec{Name: name, Endpoint: "http://localhost", Region: region, AccessKey: home}
}

func TestTargets(t *testing.T) {
	w := newWorld(t, "")
	role := local("other", "us-east-1")
	role.RoleARN = "arn:aws:iam::" + other + ":role/iibake"
	again := role
	again.Name, again.Region = "again", "us-west-2"
	got := w.open(t, local("eu", "eu-west-1"), local("us", "us-east-1"), role, again)
	for i, want := range []string{home + " eu-west-1", home + " us-east-1", other + " us-east-1", other + " us-west-2"} {
		if have := got[i].Account + " " + got[i].Region; have != want {
			t.Errorf("%s is %s, not %s", got[i].Name, have, want)
		}
	}
	if want := []string{"sts:GetCallerIdentity", "sts:AssumeRole", "sts:GetCallerIdentity"}; !slices.Equal(w.made(), want) {
		t.Error("whoever has the same credentials is asked again")
	}
}

// A target reaches its own account and region, and other regions of the account.
func TestEachTargetSeesItsOwn(t *testing.T) {
	w := newWorld(t, "")
	got := w.open(t, local("eu", "eu-west-1"), local("us", "us-east-1"))
	put := func(to *target.Target) {
		_, err := target.SSM(to).PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/x"), Value: &to.Region, Type: ssmtypes.ParameterTypeString})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(got[0])
	put(got[1])
	out, err := target.SSM(got[0].In("us-east-1")).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/x")})
	if err != nil || aws.ToString(out.Parameter.Value) != "us-east-1" {
		t.Errorf("got %v, %v", out, err)
	}
	if there := got[0].In("us-east-1"); got[0].In("eu-west-1") != got[0] || there != got[0].In("us-east-1") {
		t.Error("a region is opened twice")
	}
}

func TestUnknownTarget(t *testing.T) {
	if _, err := target.NewSet(nil, target.Options{}).Get(t.Context(), "eu"); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func groups(t *testing.T, of *target.Target) error {
	t.Helper()
	_, err := target.AutoScaling(of).DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	return err
}

// Ten answers in a row that there are too many calls, lost answers and failures are survived.
func TestRetries(t *testing.T) {
	for name, do := range map[string]string{"throttled": "throttle: true", "unavailable": "fail: unavailable", "internal": "fail: internal", "lost": "lose: true"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fmt.Sprintf("version: 1\nrules:\n- match: { operation: DescribeAutoScalingGroups, times: 10 }\n  do: { %s }\n", do))
			eu := w.open(t, local("eu", "eu-west-1"))[0]
			w.made()
			if err := groups(t, eu); err != nil {
				t.Fatal(err)
			}
			if got := w.calls[0].Attempts; got != 11 {
				t.Errorf("%d attempts", got)
			}
		})
	}
}

// A session that ends while it is used, or whose end nobody foresaw, is renewed.
func TestASessionIsRenewed(t *testing.T) {
	w := newWorld(t, "")
	role := local("other", "us-east-1")
	role.RoleARN = "arn:aws:iam::" + other + ":role/iibake"
	there := w.open(t, role)[0]
	if err := w.cloud.Advance(2 * time.Hour); err != nil {
		t.Fatal(err)
	}
	w.made()
	if err := groups(t, there); err != nil {
		t.Fatal(err)
	}
	if want := []string{"sts:AssumeRole", "autoscaling:DescribeAutoScalingGroups"}; !slices.Equal(w.made(), want) {
		t.Error("the role was not assumed again")
	}
}

// Under the limits of AWS nobody is told to slow down, however many ask at once.
func TestCallsStayBelowTheLimits(t *testing.T) {
	w := newWorld(t, "version: 1\nthrottling: aws\n")
	eu := w.open(t, local("eu", "eu-west-1"))[0]
	began := w.cloud.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if err := groups(t, eu); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, c := range w.calls {
		if c.Attempts > 1 {
			t.Fatalf("%s was throttled", c.Operation)
		}
	}
	if took := w.cloud.Now().Sub(began); took < 10*time.Second {
		t.Errorf("400 calls within %v: nothing was held back", took)
	}
}

// An account that others use, too, is asked ever more slowly.
func TestWhoIsThrottledSlowsDown(t *testing.T) {
	w := newWorld(t, "version: 1\nrules:\n- match: { operation: DescribeAutoScalingGroups, times: 8 }\n  do: { throttle: true }\n")
	o := w.options()
	o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	var waits []time.Duration
	o.Sleep = func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return w.cloud.Advance(d)
	}
	eu, err := target.NewSet([]target.Spec{local("eu", "eu-west-1")}, o).Get(t.Context(), "eu")
	if err != nil {
		t.Fatal(err)
	}
	if err := groups(t, eu); err != nil {
		t.Fatal(err)
	}
	if len(waits) != 8 || waits[7] < 4*waits[0] || waits[7] > time.Second {
		t.Errorf("waited %v", waits)
	}
}

// A wait for the rate ends with its context.
func TestAWaitCanBeCancelled(t *testing.T) {
	w := newWorld(t, "")
	o := w.options()
	o.Sleep, o.Now = nil, func() time.Time { return time.Time{} }
	eu, err := target.NewSet([]target.Spec{local("eu", "eu-west-1")}, o).Get(t.Context(), "eu")
	if err != nil {
		t.Fatal(err)
	}
	for range 90 {
		if err := groups(t, eu); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = target.AutoScaling(eu).DescribeAutoScalingGroups(ctx, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestErrorsAreExplained(t *testing.T) {
	denied := "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ec2:DescribeImages " +
		"on resource: arn:aws:ec2:eu-west-1::image/ami-1 because no identity-based policy allows it. Encoded authorization failure message: abc"
	for name, c := range map[string]struct {
		code, message string
		want          error
		says          string
	}{
		"denied by name": {"UnauthorizedOperation", denied, target.ErrDenied, "ec2:DescribeImages on arn:aws:ec2:eu-west-1::image/ami-1"},
		"denied":         {"UnauthorizedOperation", "You are not authorized to perform this operation.", target.ErrDenied, "ec2:DescribeImages"},
		"expired":        {"ExpiredToken", "The security token included in the request is expired", target.ErrCredentials, "log in"},
		"unknown":        {"AuthFailure", "AWS was not able to validate the provided access credentials", target.ErrCredentials, "credentials"},
		"late":           {"SignatureDoesNotMatch", "Signature expired: 20261122T100000Z is now earlier than 20261122T110000Z", target.ErrClock, "clock"},
		"early":          {"RequestTimeTooSkewed", "The difference is too large.", target.ErrClock, "clock"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fmt.Sprintf("version: 1\nrules:\n- match: { operation: DescribeImages }\n  do: { error: { status: 403, code: %s, message: %q } }\n", c.code, c.message))
			eu := w.open(t, local("eu", "eu-west-1"))[0]
			_, err := target.EC2(eu).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if refused := errors.Is(c.want, target.ErrDenied); errors.Is(err, bake.ErrRefused) != refused {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

func TestOtherErrorsStay(t *testing.T) {
	w := newWorld(t, "")
	eu := w.open(t, local("eu", "eu-west-1"))[0]
	_, err := target.EC2(eu).DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{"ami-0ffffffffffffffff"}})
	if err == nil || errors.Is(err, target.ErrDenied) || errors.Is(err, bake.ErrRefused) || !errors.Is(target.Explain(t.Context(), err), err) {
		t.Errorf("got %v", err)
	}
	if target.Explain(t.Context(), nil) != nil {
		t.Error("nothing went wrong")
	}
}

// A port where nobody listens is no failure of AWS.
func TestNobodyAnswers(t *testing.T) {
	o := target.Options{Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil }), Transport: http.DefaultTransport}
	spec := local("eu", "eu-west-1")
	spec.Endpoint = "http://127.0.0.1:1"
	if _, err := target.NewSet([]target.Spec{spec}, o).Get(t.Context(), "eu"); !errors.Is(err, target.ErrNetwork) {
		t.Errorf("got %v", err)
	}
}

// An endpoint that says nothing is out of reach, too.
func TestNobodyAnswersInTime(t *testing.T) {
	slow := &url.Error{Op: "Post", URL: "http://localhost", Err: os.ErrDeadlineExceeded}
	if err := target.Explain(t.Context(), slow); !errors.Is(err, target.ErrNetwork) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// The credentials of the environment are used with AWS itself and with other endpoints.
func TestTheEnvironment(t *testing.T) {
	w := newWorld(t, "")
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": other, "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-north-1", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_PROFILE": "", "AWS_SESSION_TOKEN": "", "AWS_ENDPOINT_URL": "",
	} {
		t.Setenv(key, value)
	}
	got := w.open(t, target.Spec{Name: "aws"})[0]
	if got.Account != other || got.Region != "eu-north-1" || got.Endpoint != "" {
		t.Errorf("got %s %s %q", got.Account, got.Region, got.Endpoint)
	}
	out, err := target.STS(got).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(out.Account) != other {
		t.Errorf("got %v, %v", out, err)
	}
}

// What the environment says of endpoints holds for targets that say nothing of theirs: in private networks, or under FIPS.
func TestEndpointsOfTheEnvironment(t *testing.T) {
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": home, "AWS_SECRET_ACCESS_KEY": "x", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_ENDPOINT_URL": "http://everything.example", "AWS_ENDPOINT_URL_STS": "http://sts.example", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
	} {
		t.Setenv(key, value)
	}
	w := newWorld(t, "")
	o, hosts := w.options(), []string{}
	inner := o.Transport
	o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Host)
		return inner.RoundTrip(r)
	})
	set := target.NewSet([]target.Spec{{Name: "aws", Region: "eu-west-1"}, {Name: "own", Region: "eu-west-1", Endpoint: "http://own.example"}}, o)
	for _, name := range []string{"aws", "own"} {
		got, err := set.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := target.EC2(got.In("eu-north-1")).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"sts.example", "everything.example", "own.example", "own.example"}; !slices.Equal(hosts, want) {
		t.Errorf("asked %v, want %v", hosts, want)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoCredentials(t *testing.T) {
	w := newWorld(t, "")
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(key, value)
	}
	_, err := target.NewSet([]target.Spec{{Name: "aws", Region: "eu-west-1"}}, w.options()).Get(t.Context(), "aws")
	if !errors.Is(err, target.ErrCredentials) {
		t.Errorf("got %v", err)
	}
}
