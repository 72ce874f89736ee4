package target

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/sdkerr"
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
	// ErrThrottled is wrapped when an account is asked for too much, and was when it was asked again.
	ErrThrottled = errors.New("the account is asked too much")
)

// Explain says why a call failed: once, in a line, with what was called, and with AWS's message, code and request id. The error wraps err and,
// where one of them is the reason, [ErrDenied], [ErrCredentials], [ErrClock], [ErrNetwork] or [ErrThrottled]. A permission that is missing
// will not come by waiting: that error wraps [bake.ErrRefused], too. Where the call was made is for the caller to say. ctx is that of the call.
func Explain(ctx context.Context, err error) error {
	action := ""
	if operation := (*smithy.OperationError)(nil); errors.As(err, &operation) {
		action = iamPrefix(operation.Service()) + ":" + operation.Operation()
	}
	return explain(ctx, err, action)
}

// callError is why a call failed.
type callError struct {
	text string
	why  []error // what it wraps
}

func (e *callError) Error() string   { return e.text }
func (e *callError) Unwrap() []error { return e.why }

// getCredentials stands in an error of the SDK that has no credentials to sign with.
const getCredentials = "get credentials"

func expiredCodes() []string {
	return []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
}

func explain(ctx context.Context, err error, action string) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if known, ok := errors.AsType[*callError](err); ok {
		if strings.Contains(err.Error(), getCredentials) { // another call was made for them, and that is what failed
			return &callError{known.text, []error{err}}
		}
		return err
	}
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return explainCode(err, api, action)
	}
	switch why, said := sdkerr.Unanswered(ctx, err); why {
	case sdkerr.Unreachable:
		return because(err, ErrNetwork, action, short(said)+sdkerr.Tries(err))
	case sdkerr.NoCredentials:
		return because(err, ErrCredentials, "set AWS_PROFILE, or log in", joined(action, short(said)))
	case sdkerr.Unexplained:
	}
	return err
}

// because returns the error of a call that failed for a reason that is known.
func because(err, reason error, action, text string) error {
	return &callError{joined(reason.Error(), action, text), []error{reason, err}}
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// explainCode tells apart what AWS says. The codes differ by service.
func explainCode(err error, api smithy.APIError, action string) error {
	code, text := api.ErrorCode(), api.ErrorMessage()
	said := answer(err, code, text)
	switch {
	case slices.Contains(expiredCodes(), code) && !strings.Contains(text, "Signature"):
		return because(err, ErrCredentials, "they have expired: log in again, then go on", joined(action, said))
	case slices.Contains([]string{"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired"}, code),
		strings.Contains(text, "Signature expired"), strings.Contains(text, "Signature not yet current"):
		return because(err, ErrClock, "set it, for example by NTP", joined(action, said))
	case slices.Contains([]string{"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedException"}, code):
		return denied(err, code, text, action)
	case slices.Contains([]string{
		"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
	}, code):
		return because(err, ErrCredentials, action, said)
	case retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary:
		return because(err, ErrThrottled, action, said+sdkerr.Tries(err))
	}
	return &callError{joined(action, said+sdkerr.Tries(err)), []error{err}}
}

// denied names what is missing: the action and the resource that the text of AWS names, or else the action that was called.
func denied(err error, code, text, action string) error {
	why := []error{ErrDenied, bake.ErrRefused, err}
	m := regexp.MustCompile(`(?:User: (\S+) is )?not authorized to perform: (\S+?)(?: on resource: (\S+?))?(?:[\s.]+(.*))?$`).FindStringSubmatch(short(text))
	if m == nil {
		return &callError{joined(ErrDenied.Error(), action, answer(err, code, text)), why}
	}
	who, what, on, cause := m[1], m[2], m[3], m[4]
	if on != "" {
		what += " on " + on
	}
	if who != "" {
		what += ", for " + who
	}
	return &callError{joined(ErrDenied.Error(), what, answer(err, code, cause)), why}
}

// answer returns what AWS said, with its code, and the name that its support knows it by.
func answer(err error, code, text string) string {
	named := code
	if id := requestID(err); id != "" {
		named += ", request " + id
	}
	if text = short(text); text == "" {
		return named
	}
	return fmt.Sprintf("%s (%s)", text, named)
}
