package s3

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/bake/internal/sdkerr"
)

// Why a bucket cannot be used, so that a command can say what helps.
var (
	// ErrBucket is wrapped when there is no such bucket.
	ErrBucket = errors.New("no such bucket")
	// ErrDenied is wrapped when the caller lacks a permission; the error names it.
	ErrDenied = errors.New("permission denied")
	// ErrCredentials is wrapped when there are no credentials, when they are wrong, and when they have expired.
	ErrCredentials = errors.New("no valid credentials")
	// ErrNetwork is wrapped when the endpoint cannot be reached.
	ErrNetwork = errors.New("cannot reach the endpoint")
)

// explain says why a call failed, and what to do.
func (b *bucket) explain(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	api := smithy.APIError(nil)
	if !errors.As(err, &api) {
		return explainTransport(ctx, err)
	}
	switch code := api.ErrorCode(); {
	case code == "NoSuchBucket":
		return fmt.Errorf("%w: %s: create it, for example by aws s3 mb s3://%s, or mend the address", ErrBucket, b.name, b.name)
	case slices.Contains([]string{"ExpiredToken", "TokenRefreshRequired", "RequestExpired"}, code):
		return fmt.Errorf("%w: they have expired: log in again, then go on: %w", ErrCredentials, err)
	case slices.Contains([]string{"AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem"}, code):
		return fmt.Errorf("%w: %s: %w", ErrDenied, b.permission(err), err)
	case slices.Contains([]string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthorizationHeaderMalformed", "CredentialsNotSupported"}, code):
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	case code == "RequestTimeTooSkewed":
		return fmt.Errorf("this machine's clock is wrong: set it, for example by NTP: %w", err)
	case code == "PermanentRedirect", code == "MovedPermanently":
		return fmt.Errorf("bucket %s is in another region: set AWS_REGION: %w", b.name, err)
	case code == "NotImplemented":
		return fmt.Errorf("bucket %s: conditional writes are missing, without which a catalog is not safe: use a bucket of Amazon S3: %w", b.name, err)
	}
	return err
}

// failure is why nothing was answered: once, in a line.
type failure struct {
	text string
	why  []error // what it wraps
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.why }

func explainTransport(ctx context.Context, err error) error {
	noURL := regexp.MustCompile("(?i)custom endpoint `?([^`]*?)`? was not a valid URI|unsupported protocol scheme").FindStringSubmatch(err.Error())
	if noURL != nil {
		return because(err, ErrNetwork, strings.TrimSpace("its address "+noURL[1])+" is no URL: write http:// or https:// before it")
	}
	switch why, said := sdkerr.Unanswered(ctx, err); why {
	case sdkerr.Unreachable:
		return because(err, ErrNetwork, said+sdkerr.Tries(err))
	case sdkerr.NoCredentials:
		return because(err, ErrCredentials, "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in: "+said)
	case sdkerr.Unexplained:
	}
	return err
}

func because(err, reason error, text string) error {
	return &failure{reason.Error() + ": " + text, []error{reason, err}}
}

func (b *bucket) arns() (bucket, objects string) {
	bucket = "arn:aws:s3:::" + b.name
	return bucket, bucket + "/" + b.prefix + "*"
}

// permission names what a call needs.
func (b *bucket) permission(err error) string {
	bucket, objects := b.arns()
	operation := (*smithy.OperationError)(nil)
	if !errors.As(err, &operation) {
		return "s3:GetObject and s3:PutObject on " + objects + ", s3:ListBucket on " + bucket
	}
	switch operation.Operation() {
	case "ListObjectsV2":
		return "s3:ListBucket on " + bucket
	case "PutObject":
		return "s3:PutObject on " + objects
	}
	return "s3:GetObject on " + objects + ", and s3:ListBucket on " + bucket + ", without which S3 does not say that a key is missing"
}
