package refresh

import (
	"fmt"
	"strings"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Step moves a refresh on: it returns what it remembers from now on, and what is to be done to the group. It is called at Progress.Next, and may be
// called earlier for any reason.
//
// The fleet is kept at its desired capacity by somebody else: launches that fill a gap, and the end of unhealthy instances, are none of its
// Actions. All launches give updated instances while it Replaces.
func Step(p Preferences, s Progress, f Fleet) (Progress, Actions) {
	forward := s.Status == astypes.InstanceRefreshStatusInProgress || s.Status == astypes.InstanceRefreshStatusBaking
	switch {
	case forward && f.Alarm != "":
		return p.fail(s, f.Now, "CloudWatch alarm "+f.Alarm+" in the ALARM state"), Actions{}
	case f.Now.Before(s.Next):
		return s, Actions{}
	case s.Status == astypes.InstanceRefreshStatusPending:
		return p.begin(s, f)
	case s.Status == astypes.InstanceRefreshStatusBaking:
		return s.bake(f.Now), Actions{}
	case s.Status == astypes.InstanceRefreshStatusCancelling:
		return s.cancel(f), Actions{}
	case s.Status == astypes.InstanceRefreshStatusRollbackInProgress && s.Rollback.Started.IsZero():
		return p.beginRollback(s, f)
	case Replaces(s.Status):
		return p.replace(s, f)
	}
	return s, Actions{}
}

// Cancel begins the end of an active refresh, also of one that rolls back.
func (s Progress) Cancel(now time.Time, wait bool) Progress {
	s.Status, s.Wait = astypes.InstanceRefreshStatusCancelling, wait
	s.Reason = reasonCancelled
	s.Next = now
	if !wait {
		s.Reason = reasonCancelledAtOnce
		s.Next = now.Add(CancelDelay)
	}
	return s
}

// RollBack begins the way back of a refresh that is in progress or baking.
func (s Progress) RollBack(now time.Time, why string) Progress {
	s.Status, s.Reason = astypes.InstanceRefreshStatusRollbackInProgress, "Rollback triggered due to "+why+"."
	s.Rollback = &Rollback{Reason: s.Reason}
	s.Resume, s.Next = time.Time{}, now.Add(RollbackDelay)
	return s
}

func (s Progress) end(now time.Time, status astypes.InstanceRefreshStatus, reason string) Progress {
	s.Status, s.Reason, s.Ended = status, reason, now
	return s
}

// fail ends a refresh that did not work, or rolls it back where that is asked for.
func (p Preferences) fail(s Progress, now time.Time, why string) Progress {
	why = strings.TrimSuffix(why, ".")
	switch {
	case s.Status == astypes.InstanceRefreshStatusRollbackInProgress:
		return s.end(now, astypes.InstanceRefreshStatusRollbackFailed, "Rollback failed due to "+why+".")
	case p.Rollback:
		return s.RollBack(now, why)
	}
	return s.end(now, astypes.InstanceRefreshStatusFailed, "Instance refresh failed due to "+why+".")
}

func (p Preferences) begin(s Progress, f Fleet) (Progress, Actions) {
	s.Status, s.Started, s.Moved, s.Size = astypes.InstanceRefreshStatusInProgress, f.Now, f.Now, f.Desired
	v := p.look(s, f)
	left := v.left(f.Desired)
	s.Total, s.Least, s.ToUpdate = left, left, left
	if len(v.old)+len(v.blocked) == 0 {
		s.Percent, s.ToUpdate = 100, 0
		return s.end(f.Now, astypes.InstanceRefreshStatusSuccessful, ""), Actions{}
	}
	// What was new before the refresh began is no checkpoint that it reached.
	s.Checkpoint = p.passed(v.share(f.Desired))
	return p.replace(s, f)
}

func (p Preferences) beginRollback(s Progress, f Fleet) (Progress, Actions) {
	// Others hold the record before; what it points to is not changed.
	s.Rollback = &Rollback{Reason: s.Rollback.Reason, Started: f.Now, Percent: s.Percent, ToUpdate: s.ToUpdate}
	v := p.look(s, f)
	left := v.left(f.Desired)
	s.Total, s.Least, s.Moved, s.Size = left, left, f.Now, f.Desired
	return p.replace(s, f)
}

func (s Progress) bake(now time.Time) Progress {
	if now.Before(s.Resume) {
		s.Next = s.Resume
		return s
	}
	return s.end(now, astypes.InstanceRefreshStatusSuccessful, "")
}

func (s Progress) cancel(f Fleet) Progress {
	if s.Wait {
		for _, in := range f.Instances {
			if in.Phase == Pending || in.Phase == Terminating || in.Phase == Replacing {
				s.Next = f.Now.Add(Interval)
				return s
			}
		}
	}
	return s.end(f.Now, astypes.InstanceRefreshStatusCancelled, s.Reason)
}

func (p Preferences) replace(s Progress, f Fleet) (Progress, Actions) {
	v := p.look(s, f)
	left := v.left(f.Desired)
	s.Total = max(s.Total, left)
	if left < s.Least {
		s.Least, s.Moved = left, f.Now
	}
	s = p.reach(s, v, f)
	if left == 0 || p.enough(s) {
		s = s.count(v, 0, left)
		return p.finish(s, v, f), Actions{}
	}
	s.Resume = later(s.Resume, f.Now) // a rollback that was settling has found more to do
	if limit := s.Moved.Add(p.patience(v)); !f.Now.Before(limit) {
		return p.fail(s, f.Now, "no progress for an hour. "+p.reason(s, v, f)), Actions{}
	}
	act, paired := p.act(s, v, f)
	s.Reason = p.reason(s, v, f)
	s = s.count(v, paired, left)
	s.Next = p.next(s, v, f, act)
	return s, act
}

// later returns t unless it has passed.
func later(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}

// patience is how long there may be no progress. The hour for protected instances and those in standby is documented to the point; a replacement
// gets its warm-up besides.
func (p Preferences) patience(v view) time.Duration {
	if len(v.blocked) > 0 && len(v.fresh) == 0 && len(v.old) == 0 {
		return Patience
	}
	return Patience + p.Warmup
}

// finish is what comes when nothing is left to replace.
func (p Preferences) finish(s Progress, v view, f Fleet) Progress {
	rollback := s.Rollback != nil
	if len(v.terminating) > 0 {
		s.Next, s.Resume = f.Now.Add(Interval), time.Time{}
		if !rollback {
			s.Reason = fmt.Sprintf(reasonTerminating, v.terminating[0].ID)
		}
		return s
	}
	if rollback {
		return s.settle(f.Now)
	}
	if p.Bake == 0 {
		return s.end(f.Now, astypes.InstanceRefreshStatusSuccessful, "")
	}
	s.Status, s.Resume = astypes.InstanceRefreshStatusBaking, f.Now.Add(p.Bake)
	s.Next, s.Reason = s.Resume, fmt.Sprintf(reasonBaking, int(p.Bake.Seconds()))
	return s
}

func (s Progress) settle(now time.Time) Progress {
	if s.Resume.IsZero() {
		s.Resume = now.Add(RollbackSettle)
	}
	if now.Before(s.Resume) {
		s.Next, s.Reason = s.Resume, reasonInterval
		return s
	}
	return s.end(now, astypes.InstanceRefreshStatusRollbackSuccessful, "")
}

// next returns when to look again.
func (p Preferences) next(s Progress, v view, f Fleet, act Actions) time.Time {
	at := f.Now.Add(maxWait)
	sooner := func(t time.Time) {
		if t.After(f.Now) && t.Before(at) {
			at = t
		}
	}
	busy := act.Launch > 0 || len(act.Terminate) > 0 || len(act.Replace) > 0
	if busy || len(v.terminating) > 0 || v.replacing > 0 || v.pending() {
		sooner(f.Now.Add(Interval))
	}
	sooner(v.readyAt)
	sooner(s.Resume)
	sooner(s.Moved.Add(p.patience(v)))
	return at
}

func (v *view) pending() bool {
	for _, in := range v.fresh {
		if in.Phase == Pending || !in.Healthy || in.NoData != "" {
			return true
		}
	}
	return false
}
