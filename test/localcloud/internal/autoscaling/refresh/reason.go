package refresh

import (
	"fmt"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// What a refresh says of itself.
const (
	// Recorded.
	reasonNoData          = "Waiting for remaining instances to be available. For example: %s has insufficient data to evaluate its health with %s."
	reasonProtected       = "Waiting for remaining instances to be available. For example: %s is protected. Remove instance scale-in protection to continue."
	reasonTerminating     = "Waiting for terminating instances before continuing. For example: %s is terminating."
	reasonBaking          = "Waiting for bake time to finish before continuing. There are %d seconds left."
	reasonInterval        = "Waiting for a health check interval to pass before continuing."
	reasonCancelledAtOnce = "Cancelled without waiting for ongoing instance launches and terminations due to user request."
	// Documented, in examples of the user guide.
	reasonWarmup    = "Waiting for instances to warm up before continuing. For example: %s is warming up."
	reasonCancelled = "Cancelled due to user request."
	// Inferred.
	reasonStandby    = "Waiting for remaining instances to be available. For example: %s is in standby. Return the instance to service to continue."
	reasonCheckpoint = "Waiting for checkpoint delay to finish before continuing. There are %d seconds left."
	reasonRefused    = "Waiting for instances to launch before continuing. The last launch failed: %s"
	reasonPaused     = "Waiting for the %s process to be resumed before continuing."

	noDataEC2 = "Amazon EC2"
)

// Text returns the reason of the status at a moment: some tell the seconds that are left.
func (s Progress) Text(now time.Time) string {
	switch {
	case s.Status == astypes.InstanceRefreshStatusBaking:
		return fmt.Sprintf(reasonBaking, secondsLeft(s.Resume, now))
	case s.Status == astypes.InstanceRefreshStatusInProgress && s.Resume.After(now):
		return fmt.Sprintf(reasonCheckpoint, secondsLeft(s.Resume, now))
	}
	return s.Reason
}

// reason says what is waited for; where there is nothing new to say it stays as it is.
func (p Preferences) reason(s Progress, v view, f Fleet) string {
	switch {
	case f.Paused != "":
		return fmt.Sprintf(reasonPaused, f.Paused)
	case f.Refused != "":
		return fmt.Sprintf(reasonRefused, f.Refused)
	}
	if in := v.warming(); in != nil {
		return p.waiting(s, v, f.Now, *in)
	}
	switch {
	case len(v.terminating) > 0 && s.Rollback == nil && len(v.fresh) == 0:
		return fmt.Sprintf(reasonTerminating, v.terminating[0].ID)
	case len(v.blocked) > 0 && len(v.old) == 0 && len(v.fresh) == 0:
		return blockedReason(v.blocked[0])
	}
	return s.Reason
}

func blockedReason(in Instance) string {
	if in.Phase == Standby {
		return fmt.Sprintf(reasonStandby, in.ID)
	}
	return fmt.Sprintf(reasonProtected, in.ID)
}

// warming returns the first replacement that is in service and not ready, or nil.
func (v *view) warming() *Instance {
	for i := range v.fresh {
		if v.fresh[i].Phase == InService {
			return &v.fresh[i]
		}
	}
	return nil
}

// waiting says why a replacement is not ready. Recorded: what has insufficient data is the instance that is to be replaced next.
func (p Preferences) waiting(s Progress, v view, now time.Time, in Instance) string {
	example := in.ID
	if len(v.old) > 0 {
		example = v.old[0].ID
	}
	switch {
	case s.Rollback != nil:
		return reasonInterval
	case now.Before(in.Since.Add(p.Warmup)):
		return fmt.Sprintf(reasonWarmup, in.ID)
	case in.NoData != "":
		return fmt.Sprintf(reasonNoData, example, in.NoData)
	}
	return fmt.Sprintf(reasonNoData, example, noDataEC2)
}
