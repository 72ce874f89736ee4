package promote

import (
	"context"
	"time"

	"github.com/iibake/iibake/bake"
)

// Fleet is an Auto Scaling group that a rollout moves. An adapter implements it; everything that it needs to know of a rollout stands in
// the [Rollout], which is on record before each call, so that any process can go on where another one died.
//
// Implementations are safe for concurrent use and retry by themselves what can be retried without harm. Every method may be called
// again with the same rollout, by this process or another one, whether the call before ended well, badly or nobody knows how:
// it must then end as if it had been called once. An error that wraps [bake.ErrRefused] will not go away by waiting.
type Fleet interface {
	// Preflight looks at the fleet and changes nothing. The error is for what kept it from looking; what speaks against the
	// rollout stands in Preflight.Refusals, all at once. With q.Pin it takes an alias as what it would be pinned to.
	Preflight(ctx context.Context, q Query) (Preflight, error)
	// Stage makes what new instances are launched from, once for each rollout, and returns r with its Moves. Nothing is launched by it.
	Stage(ctx context.Context, r Rollout) (Rollout, error)
	// Start begins to replace instances, or finds that it has begun, and returns r with its Refresh. To a rollout that goes back
	// (r.Back) it starts the way back from whatever the instances are now. A rollout that has nothing to replace is no error.
	Start(ctx context.Context, r Rollout) (Rollout, error)
	// Observe returns how r.Refresh goes. Where that is empty nobody knows whether Start began one: it tells of what it finds of r, and that it
	// has ended where that is nothing.
	Observe(ctx context.Context, r Rollout) (Observation, error)
	// Cancel ends r.Refresh where it is; Observe tells when it has ended. One that has ended already is no error.
	Cancel(ctx context.Context, r Rollout) error
	// Rollback turns r.Refresh round while it runs; Observe tells how it goes. It wraps [ErrTooLate] where the refresh has ended, and
	// where it cannot be turned round: then the way back is a rollout of its own. Where r.Refresh is empty nobody knows whether Start
	// began one: it turns round what it finds of r, and wraps ErrTooLate where that is nothing.
	Rollback(ctx context.Context, r Rollout) error
}

// Query is what a preflight is about.
type Query struct {
	Image    bake.Image
	Artifact bake.Artifact // of Image for this fleet; its AMI is empty where it is not published yet
	Moves    []Move        // of a rollback: the fleet goes from To back to From, as a rollout with Back does; empty for any other rollout
	Pin      bool          // fix what the group uses by an alias to a number
}

// Preflight is what a fleet is like before a rollout.
type Preflight struct {
	Group     string        `json:"group"`
	Current   []Launch      `json:"current"`            // what instances are launched from; several with a mixed instances policy
	Instances int           `json:"instances"`          // desired
	Running   []Version     `json:"running"`            // instances by what they were launched from, most first
	There     bool          `json:"there,omitempty"`    // every instance, and the group, is at the image already
	Pins      []string      `json:"pins,omitempty"`     // what --pin changes, in words
	Refusals  []string      `json:"refusals,omitempty"` // why a rollout, or the way back from it, would not work, each with what to do
	Notes     []string      `json:"notes,omitempty"`    // worth knowing
	Estimate  bake.Duration `json:"estimate,omitempty"` // of the refresh, by the times that the fleet and its strategy have
}

// Launch is what instances are launched from.
type Launch struct {
	Template string    `json:"template"`        // id of the launch template
	Name     string    `json:"name"`            // of the launch template
	Version  string    `json:"version"`         // number
	Alias    string    `json:"alias,omitempty"` // $Latest or $Default where the group uses that
	AMI      string    `json:"ami"`             // where every instance type has the same
	Image    *bake.Ref `json:"image,omitempty"` // that the AMI is; nil for one that iibake did not make
}

// Version counts instances that were launched from the same AMI.
type Version struct {
	AMI       string    `json:"ami"`
	Image     *bake.Ref `json:"image,omitempty"`
	Instances int       `json:"instances"`
}

// Move is a launch template going from one version to another. There and back are the same move.
type Move struct {
	Template string `json:"template"` // id of the launch template
	Name     string `json:"name"`
	From     string `json:"from"` // number of the version
	To       string `json:"to"`   // number of the version; empty until it is staged
	FromAMI  string `json:"from_ami"`
	ToAMI    string `json:"to_ami"`
	// Overrides are the AMIs that overrides of a mixed instances policy with version From name themselves, in their order; with version To all
	// of them name ToAMI.
	Overrides []string `json:"overrides,omitempty"`
}

// Observation is how a refresh goes at one moment.
type Observation struct {
	State   State     `json:"state"`
	Percent int       `json:"percent"`          // of the instances that are replaced; counts down on the way back
	Old     int       `json:"old"`              // instances launched from something else than what they shall be
	New     int       `json:"new"`              // instances launched from what they shall be
	Healthy int       `json:"healthy"`          // of both, in service and healthy
	Desired int       `json:"desired"`          // how many there shall be
	Reason  string    `json:"reason,omitempty"` // in the words of AWS
	Alarm   string    `json:"alarm,omitempty"`  // one of the strategy's alarms that is in alarm
	At      time.Time `json:"at"`
}

// empty reports whether there is no instance, and none is to come: whoever asks such a fleet something learns nothing of its image.
func (o Observation) empty() bool { return o.Desired == 0 && o.Old == 0 && o.New == 0 }

// State is what a refresh does.
type State string

// The states of a refresh.
const (
	Waiting     State = "waiting"       // it was asked for and has not begun
	Replacing   State = "replacing"     // instances are being replaced
	Soaking     State = "soaking"       // all are replaced and watched
	Succeeded   State = "succeeded"     // the end: the group has what it shall have
	Failing     State = "failed"        // the end: stopped where it was
	Cancelling  State = "cancelling"    // it is being stopped
	Cancelled   State = "cancelled"     // the end: stopped where it was, as was asked for
	GoingBack   State = "going back"    // replaced instances are being replaced by ones as before
	WentBack    State = "went back"     // the end: the group has what it had
	NotGoneBack State = "not gone back" // the end: the way back failed
)

// Ended reports whether nothing will happen any more.
func (s State) Ended() bool {
	switch s {
	case Succeeded, Failing, Cancelled, WentBack, NotGoneBack:
		return true
	case Waiting, Replacing, Soaking, Cancelling, GoingBack:
	}
	return false
}
