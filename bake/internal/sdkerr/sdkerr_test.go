package sdkerr_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/bake/internal/sdkerr"
)

func TestCode(t *testing.T) {
	t.Parallel()
	denied := &smithy.OperationError{ServiceID: "S3", OperationName: "GetObject", Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}}
	for want, err := range map[string]error{"AccessDenied": fmt.Errorf("get: %w", denied), "": errors.New("AccessDenied")} {
		if got := sdkerr.Code(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	if got := sdkerr.Code(nil); got != "" {
		t.Errorf("of no error: %q", got)
	}
}

func TestTries(t *testing.T) {
	t.Parallel()
	failed := errors.New("it fails")
	if got := sdkerr.Tries(fmt.Errorf("call: %w", &retry.MaxAttemptsError{Attempt: 12, Err: failed})); got != ", after 12 tries" {
		t.Errorf("got %q", got)
	}
	if got := sdkerr.Tries(failed); got != "" {
		t.Errorf("of one try: %q", got)
	}
}

// A call may have a deadline of its own that is over while its caller has time left.
func TestOverdue(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithTimeout(t.Context(), 0)
	t.Cleanup(cancel)
	gone, leave := context.WithCancel(t.Context())
	leave()
	late := fmt.Errorf("get credentials: %w", context.DeadlineExceeded)
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // the case
		err  error
		want bool
	}{
		"its caller's time is over":   {over, late, true},
		"its own time is over":        {t.Context(), late, false},
		"its caller has gone":         {gone, late, false},
		"it was refused all the same": {over, errors.New("refused"), false},
		"it went well":                {over, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sdkerr.Overdue(c.ctx, c.err); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestInnermost(t *testing.T) {
	t.Parallel()
	refused := errors.New("dial tcp 127.0.0.1:1: connection refused")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nothing is before it":         {refused, refused.Error()},
		"what was put before it":       {fmt.Errorf("operation S3: %w", fmt.Errorf("send: %w", refused)), refused.Error()},
		"two words say too little":     {fmt.Errorf("get the file: %w", errors.New("not found")), "get the file: not found"},
		"no words say nothing":         {fmt.Errorf("get the file: %w", errors.New("")), "get the file: "},
		"what stands behind it counts": {fmt.Errorf("%w: set AWS_PROFILE", refused), refused.Error() + ": set AWS_PROFILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sdkerr.Innermost(c.err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
