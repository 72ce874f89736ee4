package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/bake"
)

// Why an account cannot be used, so that a command can say what helps.
var (
	// ErrDenied is wrapped when the caller lacks a permission; the error names the action and, where AWS does, the resource.
	ErrDenied = errors.New("permission denied")
	// ErrCredentials is wrapped when there are no credentials, when they are wrong, and when they have expired.
	ErrCredentials = errors.New("no valid credentials")
	// ErrClock is wrapped when this machine's clock is too far from that of AWS.
	ErrClock = errors.New("this machine's clock is wrong")
	// ErrNetwork is wrapped when the endpoint cannot be reached.
	ErrNetwork = errors.New("cannot reach the endpoint")
)

// Explain says why a call failed, in an error that wraps err and, where one of them is the reason, [ErrDenied], [ErrCredentials], [ErrClock] or
// [ErrNetwork]. A permission that is missing will not come by waiting: that error wraps [bake.ErrRefused], too.
func Explain(err error) error {
	action := ""
	if operation := (*smithy.OperationError)(nil); errors.As(err, &operation) {
		action = iamPrefix(operation.Service()) + ":" + operation.Operation()
	}
	return explain(err, action)
}

func expiredCodes() []string {
	return []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
}

func explain(err error, action string) error {
	if err == nil || errors.Is(err, context.Canceled) || isExplained(err) {
		return err
	}
	api := smithy.APIError(nil)
	if !errors.As(err, &api) {
		opErr, slow := (*net.OpError)(nil), net.Error(nil)
		switch {
		case strings.Contains(err.Error(), "get credentials"), strings.Contains(err.Error(), "failed to refresh cached credentials"):
			return fmt.Errorf("%w: set AWS_PROFILE, or log in: %w", ErrCredentials, err)
		case errors.As(err, &opErr), errors.As(err, &slow) && slow.Timeout():
			return fmt.Errorf("%w: %w", ErrNetwork, err)
		}
		return err
	}
	return explainCode(err, api, action)
}

func isExplained(err error) bool {
	return slices.ContainsFunc([]error{ErrDenied, ErrCredentials, ErrClock, ErrNetwork}, func(known error) bool { return errors.Is(err, known) })
}

// explainCode tells apart what AWS says. The codes differ by service.
func explainCode(err error, api smithy.APIError, action string) error {
	code, text := api.ErrorCode(), api.ErrorMessage()
	switch {
	case slices.Contains(expiredCodes(), code) && !strings.Contains(text, "Signature"):
		return fmt.Errorf("%w: they have expired: log in again, then go on: %w", ErrCredentials, err)
	case slices.Contains([]string{"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired"}, code),
		strings.Contains(text, "Signature expired"), strings.Contains(text, "Signature not yet current"):
		return fmt.Errorf("%w: set it, for example by NTP: %w", ErrClock, err)
	case slices.Contains([]string{"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedException"}, code):
		return fmt.Errorf("%w: %w: %s: %w", ErrDenied, bake.ErrRefused, permission(text, action), err)
	case slices.Contains([]string{
		"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
	}, code):
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	return err
}

// permission names what is missing: the action and the resource that the text of AWS names, or else the action that was called.
func permission(text, action string) string {
	if m := regexp.MustCompile(`not authorized to perform: (\S+?)(?: on resource: (\S+))?(?:[\s.]|$)`).FindStringSubmatch(text); m != nil {
		action = m[1]
		if m[2] != "" {
			return action + " on " + m[2]
		}
	}
	return action
}
