package s3

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

const (
	attempts   = 12
	dials      = 3 // attempts to reach an endpoint that never answered
	maxBackoff = 20 * time.Second
)

// Retryer returns the one layer of retries that there is. Every call can be made again. A backoff of nil is exponential, with jitter, 20 s at
// most. An endpoint that nobody can connect to is given up after few attempts, unless it has answered before: then it is likely to come back.
func Retryer(backoff retry.BackoffDelayer) aws.Retryer {
	return &retryer{Standard: retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.Backoff = attempts, maxBackoff, backoff
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			"ConditionalRequestConflict": {}, "OperationAborted": {}, // somebody writes the same key at this moment
		}})
	})}
}

type retryer struct {
	*retry.Standard

	reached atomic.Bool // the endpoint has answered
}

// GetAttemptToken learns from each attempt whether there is somebody to talk to.
func (r *retryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	release, err := r.Standard.GetAttemptToken(ctx)
	if err != nil {
		return nil, err
	}
	return func(err error) error {
		if api := smithy.APIError(nil); err == nil || errors.As(err, &api) {
			r.reached.Store(true)
		}
		return release(err)
	}, nil
}

// RetryDelay ends the attempts to reach what is not there.
func (r *retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	if attempt >= dials && isDial(err) && !r.reached.Load() {
		return 0, &retry.MaxAttemptsError{Attempt: attempt, Err: err}
	}
	return r.Standard.RetryDelay(attempt, err)
}

// isDial reports whether there was no connection.
func isDial(err error) bool {
	opErr, dnsErr := (*net.OpError)(nil), (*net.DNSError)(nil)
	return errors.As(err, &opErr) && opErr.Op == "dial" || errors.As(err, &dnsErr)
}
