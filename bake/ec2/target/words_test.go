package target_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/iibake/iibake/bake/ec2/target"
)

// fault is a rule by which every call of an operation fails.
func fault(operation, do string) string {
	return fmt.Sprintf("version: 1\nrules:\n- match: { operation: %s }\n  do: { %s }\n", operation, do)
}

// What an error says is said once: what was called, what AWS answered, its code and the request, and what to do.
func TestWhatErrorsSay(t *testing.T) {
	const encoded = "4AcGzL0aZ3rLqSnGkPJ0bYfjbIPzg1WnZ2mKnuHB"
	images := func(ctx context.Context, at *target.Target) error {
		_, err := target.EC2(at).DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{"ami-0ffffffffffffffff"}})
		return err
	}
	parameter := func(ctx context.Context, at *target.Target) error {
		name := "/web"
		_, err := target.SSM(at).GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
		return err
	}
	for name, c := range map[string]struct {
		faults string
		call   func(context.Context, *target.Target) error
		is     error
		want   string
	}{
		"denied by name": {
			faults: fault("DescribeImages", `error: { status: 403, code: UnauthorizedOperation, message: "You are not authorized to perform this operation. `+
				`User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform: ec2:DescribeImages on resource: * because no identity-based policy allows `+
				`the ec2:DescribeImages action. Encoded authorization failure message: `+encoded+`" }`),
			call: images, is: target.ErrDenied,
			want: "permission denied: ec2:DescribeImages on *, for arn:aws:sts::111122223333:assumed-role/ci/x: because no identity-based policy allows " +
				"the ec2:DescribeImages action (UnauthorizedOperation, request ID)",
		},
		"denied without a word": {
			faults: fault("GetParameter", `error: { status: 400, code: AccessDeniedException, message: "" }`),
			call:   parameter, is: target.ErrDenied, want: "permission denied: ssm:GetParameter: AccessDeniedException, request ID",
		},
		"denied by an encoded message": {
			faults: fault("DescribeImages", `error: { status: 403, code: UnauthorizedOperation, message: "You are not authorized to perform this operation. Encoded authorization failure message: `+encoded+`" }`),
			call:   images, is: target.ErrDenied, want: "permission denied: ec2:DescribeImages: You are not authorized to perform this operation (UnauthorizedOperation, request ID)",
		},
		"throttled to the end": {
			faults: fault("DescribeImages", "throttle: true"), call: images, is: target.ErrThrottled,
			want: "the account is asked too much: ec2:DescribeImages: Request limit exceeded (RequestLimitExceeded, request ID), after 12 tries",
		},
		"expired": {
			faults: fault("DescribeImages", `error: { status: 400, code: ExpiredToken, message: "The security token included in the request is expired" }`),
			call:   images, is: target.ErrCredentials,
			want: "no valid credentials: they have expired: log in again, then go on: ec2:DescribeImages: The security token included in the request is expired (ExpiredToken, request ID)",
		},
		"clock": {
			faults: fault("GetParameter", `error: { status: 400, code: InvalidSignatureException, message: "Signature expired: 20261122T100000Z is now earlier than 20261122T110000Z (20261122T111500Z - 15 min.)" }`),
			call:   parameter, is: target.ErrClock,
			want: "this machine's clock is wrong: set it, for example by NTP: ssm:GetParameter: Signature expired: 20261122T100000Z is now earlier than 20261122T110000Z " +
				"(20261122T111500Z - 15 min.) (InvalidSignatureException, request ID)",
		},
		"not found": {
			call: images, want: "ec2:DescribeImages: The image id '[ami-0ffffffffffffffff]' does not exist (InvalidAMIID.NotFound, request ID)",
		},
		"unavailable to the end": {
			faults: fault("DescribeImages", "fail: unavailable"), call: images,
			want: "ec2:DescribeImages: The service is unavailable. Please try again shortly (Unavailable, request ID), after 12 tries",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.faults)
			eu := w.open(t, local("eu", "eu-west-1"))[0]
			wantSaid(t, fmt.Errorf("group web: %w", c.call(t.Context(), eu)), c.is, "group web: "+c.want)
		})
	}
}

// wantSaid checks what is said of an error when it is handed on.
func wantSaid(t *testing.T, err, is error, want string) {
	t.Helper()
	err = target.Terse(err)
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%v is no %v", err, is)
	}
	got := regexp.MustCompile(`request [0-9a-f-]+`).ReplaceAllString(err.Error(), "request ID")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWhatNobodyWhoAnswersSays(t *testing.T) {
	o := target.Options{Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil }), Transport: http.DefaultTransport}
	spec := local("eu", "eu-west-1")
	spec.Endpoint = "http://127.0.0.1:1"
	_, err := target.NewSet([]target.Spec{spec}, o).Get(t.Context(), "eu")
	wantSaid(t, err, target.ErrNetwork, "target eu: cannot reach the endpoint: sts:GetCallerIdentity: dial tcp 127.0.0.1:1: connect: connection refused, after 12 tries")
}

// The role that is not there for the caller is named once, however many calls it is needed for.
func TestWhatARoleThatIsRefusedSays(t *testing.T) {
	w := newWorld(t, fault("AssumeRole", `error: { status: 403, code: AccessDenied, message: "User: arn:aws:iam::111122223333:user/ada is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::444455556666:role/iibake" }`))
	role := local("other", "us-east-1")
	role.RoleARN = "arn:aws:iam::" + other + ":role/iibake"
	_, err := target.NewSet([]target.Spec{role}, w.options()).Get(t.Context(), "other")
	wantSaid(t, err, target.ErrDenied, "target other: permission denied: sts:AssumeRole on arn:aws:iam::444455556666:role/iibake, for arn:aws:iam::111122223333:user/ada: AccessDenied, request ID")
	if _, err = target.STS(w.open(t, local("eu", "eu-west-1"))[0]).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
}

// Who waits for the session of a role when the time is over is not told to log in.
func TestWhatACallThatIsOverdueSays(t *testing.T) {
	w := newWorld(t, "")
	role, o := local("other", "us-east-1"), w.options()
	role.RoleARN = "arn:aws:iam::" + other + ":role/iibake"
	enough := make(chan struct{})
	t.Cleanup(func() { close(enough) })
	o.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
		<-enough
		return nil, errors.New("too late")
	})
	within, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := target.NewSet([]target.Spec{role}, o).Get(within, "other")
	if !errors.Is(err, target.ErrNetwork) || errors.Is(err, target.ErrCredentials) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not %v alone", err, target.ErrNetwork)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTerse(t *testing.T) {
	plain := errors.New("operation error EC2: DescribeImages, which was never explained")
	if target.Terse(nil) != nil || !errors.Is(target.Terse(plain), plain) || target.Terse(plain).Error() != plain.Error() {
		t.Error("changed what it need not")
	}
}

// Who has no credentials, or asks for those of a profile that is not there, is told what to set.
func TestWhatIsSaidWithoutCredentials(t *testing.T) {
	w := newWorld(t, "")
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(key, value)
	}
	for profile, want := range map[string]string{
		"": "no valid credentials: set AWS_PROFILE, or log in: sts:GetCallerIdentity: access disabled to EC2 IMDS via client option, " +
			`or "AWS_EC2_METADATA_DISABLED" environment variable`,
		"nobody": "no valid credentials: set AWS_PROFILE to one that there is: failed to get shared config profile, nobody",
	} {
		t.Setenv("AWS_PROFILE", profile)
		_, err := target.NewSet([]target.Spec{{Name: "aws", Region: "eu-west-1"}}, w.options()).Get(t.Context(), "aws")
		wantSaid(t, err, target.ErrCredentials, "target aws: "+want)
	}
}
