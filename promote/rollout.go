package promote

import (
	"errors"
	"time"

	"github.com/iibake/iibake/bake"
)

// ErrTooLate is wrapped when a refresh cannot be turned round any more.
var ErrTooLate = errors.New("cannot be turned round")

// Rollout is one fleet moving to one image. Each change of its phase is a record of its own; the last one says where it is.
type Rollout struct {
	Promotion string        `json:"promotion"` // ID of the promotion that it is part of
	Wave      int           `json:"wave"`      // from 0
	Fleet     Member        `json:"fleet"`
	From      *bake.Ref     `json:"from,omitempty"` // image that the fleet ran; nil for one that iibake did not make
	To        bake.Ref      `json:"to"`
	AMI       string        `json:"ami"`                // of To, where the fleet is
	Moves     []Move        `json:"moves,omitempty"`    // set by Fleet.Stage
	Refresh   string        `json:"refresh,omitempty"`  // id of the instance refresh, set by Fleet.Start; empty where there was nothing to replace
	Back      bool          `json:"back,omitempty"`     // it goes the Moves from To to From
	Step      int           `json:"step,omitempty"`     // counts the records of the rollout from 1; set by Rollouts.Append
	Expected  bake.Duration `json:"expected,omitempty"` // of the refresh, by the fleet's preflight
	Desired   int           `json:"desired,omitempty"`  // instances that there were to be when the fleet arrived
	Along     bool          `json:"along,omitempty"`    // it goes back, or stops, for what happened elsewhere; Reason says what
	Driver    string        `json:"driver,omitempty"`   // process that put the record
	Phase     Phase         `json:"phase"`
	Reason    string        `json:"reason,omitempty"`
	At        time.Time     `json:"at"` // of the phase
}

// ID returns what a rollout is called in tags, tokens and texts: unique among all rollouts, and the same for every process.
func (r Rollout) ID() string { return r.Promotion + "/" + r.Fleet.Name }

// Phase is where a rollout is.
type Phase string

// The phases of a rollout, in the order in which they come.
const (
	Planned    Phase = "planned"     // nothing was done
	Staging    Phase = "staging"     // Fleet.Stage is about to be called
	Staged     Phase = "staged"      // instances could be launched from the new image; not on record, as Fleet.Stage would say the same again
	Starting   Phase = "starting"    // Fleet.Start is about to be called
	Refreshing Phase = "refreshing"  // instances are being replaced
	Done       Phase = "done"        // the end: the fleet has the image
	Stopping   Phase = "stopping"    // Fleet.Cancel is about to be called: the fleet stays where it is
	Reverting  Phase = "reverting"   // the way back is being begun: Fleet.Rollback is about to be called or, with Back, Fleet.Start
	Returning  Phase = "returning"   // instances are being replaced by ones as before
	RolledBack Phase = "rolled back" // the end: the fleet has what it had
	Failed     Phase = "failed"      // the end: nobody knows a way on; a person has to look
)
