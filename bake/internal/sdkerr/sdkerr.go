// Package sdkerr reads what the errors of the AWS SDK say, for the adapters that tell people of it.
package sdkerr

import (
	"context"
	"errors"
	"fmt"
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

// Overdue reports whether a call ended because the time was over that ctx gave it, whatever it was about then: it may have been waiting for
// credentials, which says nothing about them.
func Overdue(ctx context.Context, err error) bool {
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
