package promote

import (
	"fmt"
	"slices"
	"time"

	"github.com/iibake/iibake/bake"
)

// Progress is how a promotion goes at one moment.
type Progress struct {
	Promotion Promotion       `json:"promotion"`
	Step      Step            `json:"step"`
	Wave      int             `json:"wave"`             // from 0: the one that moves or soaks
	Reason    string          `json:"reason,omitempty"` // why it waits or goes back
	Until     time.Time       `json:"until,omitzero"`   // end of a soak, or of a freeze
	Active    Active          `json:"active"`
	Fleets    []FleetProgress `json:"fleets"`            // wave by wave
	Outcome   *Outcome        `json:"outcome,omitempty"` // at the end
	At        time.Time       `json:"at"`
}

// Step is what a promotion is at.
type Step string

// The steps of a promotion.
const (
	Publishing Step = "publishing" // the image is being made to exist where fleets are
	Moving     Step = "moving"     // the fleets of a wave get the image
	Watching   Step = "soaking"    // a wave has it, and is watched
	Paused     Step = "paused"     // as somebody wished
	Frozen     Step = "frozen"     // by a freeze that began on the way: nothing more moves until it ends
	Backing    Step = "going back" // fleets that moved go back to what they had
	Halting    Step = "stopping"   // fleets are being stopped where they are
	Finishing  Step = "finishing"  // every fleet has arrived; the channel moves, unless they go alone
	Ended      Step = "ended"
)

// FleetProgress is how the rollout of a fleet goes at one moment. Percent counts what the way that the rollout is on has behind it.
type FleetProgress struct {
	Fleet    string        `json:"fleet"`
	Wave     int           `json:"wave"` // from 0
	Phase    Phase         `json:"phase"`
	Percent  int           `json:"percent"`
	Old      int           `json:"old"`     // instances
	New      int           `json:"new"`     // instances
	Healthy  int           `json:"healthy"` // instances
	Desired  int           `json:"desired"` // instances
	Reason   string        `json:"reason,omitempty"`
	Since    time.Time     `json:"since,omitzero"` // when its refresh was begun
	Ended    time.Time     `json:"ended,omitzero"`
	Expected bake.Duration `json:"expected,omitempty"` // of the refresh; 0 where it is not known
}

// tell reports how the promotion goes. Of a leg that a worker has in hand it tells what was known before.
func (d *drive) tell() {
	now := d.c.Clock.Now()
	for i, l := range d.legs {
		if !l.busy {
			d.view.Fleets[i] = l.progress()
		}
	}
	view := d.view
	view.Active, view.At = d.active, now
	view.Fleets = slices.Clone(d.view.Fleets)
	d.c.Report(view)
}

func (l *leg) progress() FleetProgress {
	o := l.seen
	f := FleetProgress{
		Fleet: l.r.Fleet.Name, Wave: l.r.Wave, Phase: l.r.Phase, Percent: o.Percent, Old: o.Old, New: o.New, Healthy: o.Healthy, Desired: o.Desired,
		Reason: orElse(l.r.Reason, o.Reason), Since: l.began, Expected: l.r.Expected,
	}
	switch l.r.Phase {
	case Done, RolledBack:
		f.Percent, f.Ended = 100, l.r.At
	case Failed:
		f.Ended = l.r.At
	case Reverting, Returning:
		if !l.r.Back { // a refresh that was turned round counts down
			f.Percent = 100 - o.Percent
		}
	case Planned, Staging, Staged, Starting, Refreshing, Stopping:
	}
	if l.err == nil {
		l.unwell.over()
	}
	if l.err != nil && f.Ended.IsZero() {
		f.Reason = l.unwell.say(l.err) + "; it is tried again"
		if l.stuck {
			f.Reason = fmt.Sprintf("%v; it was tried for %s", l.err, l.unwell.lasted.Round(time.Second))
		}
	}
	return f
}
