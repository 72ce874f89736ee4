package sdkerr_test

import (
	"context"
	"errors"
	"fmt"
	"net"
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
func TestUnanswered(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithTimeout(t.Context(), 0)
	t.Cleanup(cancel)
	gone, leave := context.WithCancel(t.Context())
	leave()
	late := fmt.Errorf("get credentials: %w", context.DeadlineExceeded)
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // the case
		err  error
		want sdkerr.Silence
		said string
	}{
		"its caller's time is over":   {over, late, sdkerr.Unreachable, "context deadline exceeded"},
		"its own time is over":        {t.Context(), late, sdkerr.NoCredentials, "context deadline exceeded"},
		"its caller has gone":         {gone, late, sdkerr.NoCredentials, "context deadline exceeded"},
		"it was refused all the same": {over, errors.New("refused"), sdkerr.Unexplained, ""},
		"it went well":                {over, nil, sdkerr.Unexplained, ""},
		"nothing was cached":          {t.Context(), errors.New("failed to refresh cached credentials, none there"), sdkerr.NoCredentials, "failed to refresh cached credentials, none there"},
		"nobody listens":              {t.Context(), fmt.Errorf("send: %w", fmt.Errorf("%w (EOF)", dial)), sdkerr.Unreachable, "dial tcp: connection refused"},
		"no answer in time":           {t.Context(), fmt.Errorf("send: %w", context.DeadlineExceeded), sdkerr.Unreachable, "context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, said := sdkerr.Unanswered(c.ctx, c.err); got != c.want || said != c.said {
				t.Errorf("got %d, %q", got, said)
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
