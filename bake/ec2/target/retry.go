package target

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/iibake/iibake/bake/internal/sdkerr"
)

// attempts is how often a call is tried: it survives being throttled ten times in a row.
const attempts = 12

// maxBackoff bounds the wait before a retry.
const maxBackoff = 20 * time.Second

// retryer is the SDK's, with our rate of calls in place of its own: that one keeps a rate for each client, whereas the limits are those of an
// account, region and operation, and it only waits on the host's clock.
type retryer struct {
	*retry.Standard
	throttles retry.IsErrorThrottles
	target    *Target
}

func newRetryer(t *Target) *retryer {
	standard := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.Backoff = attempts, maxBackoff, t.set.options.Backoff
		o.RateLimiter = ratelimit.None // retries are bounded by their number; a quota for a client would fail fleets for their neighbours
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			"ResourceContention": {}, // Auto Scaling: somebody else changes the same group at this moment
			"InternalFailure":    {},
		}})
	})
	return &retryer{Standard: standard, throttles: retry.IsErrorThrottles(retry.DefaultThrottles), target: t}
}

// IsErrorRetryable lets a call go on whose session has ended: the next attempt is signed with a new one.
func (r *retryer) IsErrorRetryable(err error) bool {
	if r.target.spec.RoleARN != "" && slices.Contains(expiredCodes(), sdkerr.Code(err)) {
		r.target.credentials.Invalidate()
		return true
	}
	return r.Standard.IsErrorRetryable(err)
}

// GetAttemptToken waits until the account may be asked again.
func (r *retryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	b := r.target.set.limits.of(ctx, r.target)
	if err := b.take(ctx); err != nil {
		return nil, err
	}
	return func(err error) error {
		b.learn(r.throttles.IsErrorThrottle(err) == aws.TrueTernary)
		return nil
	}, nil
}
