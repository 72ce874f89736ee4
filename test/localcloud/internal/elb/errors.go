package elb

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// The texts below are those that the service is known to answer with; where none is known, the code is the documented one and the text says
// what is wrong.

func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("ValidationError", format, args...)
}

// misfit is the answer to settings that are right one by one and wrong together.
func misfit(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidConfigurationRequest", format, args...)
}

// unsupported is the answer to what the real service can do and this one cannot.
func unsupported(what string) *wire.Error {
	return wire.Errorf("OperationNotPermitted", "%s is not supported by this endpoint", what)
}

func noGroup() *wire.Error {
	return wire.Errorf("TargetGroupNotFound", "One or more target groups not found")
}

func noBalancer() *wire.Error {
	return wire.Errorf("LoadBalancerNotFound", "One or more load balancers not found")
}

func noListener() *wire.Error {
	return wire.Errorf("ListenerNotFound", "One or more listeners not found")
}

func noRule() *wire.Error { return wire.Errorf("RuleNotFound", "One or more rules not found") }

// newID returns 16 hexadecimal digits, as the ARNs of the service end in.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// arn returns an ARN of the service.
func arn(c *wire.Call, resource string) string {
	return "arn:aws:elasticloadbalancing:" + c.Region + ":" + c.Account + ":" + resource
}

// checkName returns the error for a name that a balancer or a target group, as kind says, cannot have.
func checkName(kind, name string) error {
	letters := func(c rune) bool {
		return c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	switch {
	case name == "":
		return invalid("The %s name cannot be empty", strings.ToLower(kind))
	case len(name) > 32:
		return invalid("%s name '%s' cannot be longer than '32' characters", kind, name)
	case strings.Trim(name, "-") != name:
		return invalid("%s name '%s' cannot begin or end with '-'", kind, name)
	case strings.ContainsFunc(name, func(c rune) bool { return !letters(c) }):
		return invalid("%s name '%s' can only contain characters that are alphanumeric characters or hyphens(-)", kind, name)
	}
	return nil
}
