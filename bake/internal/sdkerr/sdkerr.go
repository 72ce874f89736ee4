// Package sdkerr reads what the errors of the AWS SDK say, for the adapters that tell people of it.
package sdkerr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Code returns the code by which a service refused a call, or nothing where no service did.
func Code(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Tries returns ", after N tries" for a call that was tried until nobody wanted to any more, and nothing for any other.
func Tries(err error) string {
	if most, ok := errors.AsType[*retry.MaxAttemptsError](err); ok {
		return fmt.Sprintf(", after %d tries", most.Attempt)
	}
	return ""
}

// Silence is why no service answered a call.
type Silence int

// The reasons of a [Silence].
const (
	Unexplained   Silence = iota // none that is known here
	Unreachable                  // nobody was there, or not in time
	NoCredentials                // there was nothing to sign the call with
)

// Unanswered returns why no service answered a call that was made with ctx, and what led to that in the words of the SDK.
func Unanswered(ctx context.Context, err error) (why Silence, said string) {
	opErr, slow, text := (*net.OpError)(nil), net.Error(nil), fmt.Sprint(err)
	switch {
	case overdue(ctx, err):
		return Unreachable, Innermost(err)
	case strings.Contains(text, "get credentials"), strings.Contains(text, "failed to refresh cached credentials"):
		return NoCredentials, Innermost(err)
	case errors.As(err, &opErr):
		return Unreachable, opErr.Error()
	case errors.As(err, &slow) && slow.Timeout():
		return Unreachable, Innermost(err)
	}
	return Unexplained, ""
}

// overdue reports whether a call ended because the time was over that ctx gave it, whatever it was about then: it may have been waiting for
// credentials, which says nothing about them.
func overdue(ctx context.Context, err error) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded)
}

// Innermost returns the text of what led to an error, without what was put before it on its way. One or two words are taken for no text.
func Innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.HasSuffix(err.Error(), inner.Error()) || len(strings.Fields(inner.Error())) < 3 {
			return err.Error()
		}
		err = inner
	}
}
