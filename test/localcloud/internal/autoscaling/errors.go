package autoscaling

import (
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// invalid is the error that the service has for almost everything.
func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("ValidationError", format, args...)
}

// noGroup is the text for groups that are not there, as users report it.
func noGroup(name string) *wire.Error {
	return invalid("AutoScalingGroup name not found - AutoScalingGroup %s not found", name)
}

func noInstance(id string) *wire.Error {
	return invalid("Instance Id not found - No managed instance found for instance ID: %s", id)
}

func notOfGroup(id, group string) *wire.Error {
	return invalid("The instance %s is not part of Auto Scaling group %s.", id, group)
}

func deleting() *wire.Error {
	return wire.Errorf("ScalingActivityInProgress", "You cannot update an AutoScalingGroup while it is being deleted.") // inferred
}

func unsupported(what string) *wire.Error {
	return invalid("%s is not supported by this endpoint. Leave it out of the request.", what)
}
