package promote

import (
	"fmt"
	"time"

	"github.com/iibake/iibake/bake"
)

// Candidate is the channel that an image enters when it passes its tests.
const Candidate Channel = "candidate"

// Channel is a movable name for one version of an image: candidate, staging, production.
type Channel string

// Promotion is one move of a channel, with its fleets. The record of it is the intent, put before anything else is done; what became
// of it is an [Outcome].
type Promotion struct {
	Channel Channel       `json:"channel"`
	Number  int           `json:"number"`         // counts the promotions of an image in a channel, from 1
	From    *bake.Ref     `json:"from,omitempty"` // what the channel held; nil where it held nothing
	To      bake.Ref      `json:"to"`
	Proof   time.Time     `json:"proof"` // when the verdict was given that To passed
	By      string        `json:"by"`
	At      time.Time     `json:"at"`
	Reason  string        `json:"reason,omitempty"`
	Back    bool          `json:"back,omitempty"`    // a rollback: to an image that was there before
	Waves   [][]Member    `json:"waves,omitempty"`   // the fleets as they were configured then: a resumed promotion goes by these
	Soak    bake.Duration `json:"soak,omitempty"`    // after each wave
	Only    bool          `json:"only,omitempty"`    // some fleets alone: the channel stays
	Keep    bool          `json:"keep,omitempty"`    // after a failure, fleets that moved stay where they are
	Pin     bool          `json:"pin,omitempty"`     // aliases of launch template versions become numbers
	Targets []string      `json:"targets,omitempty"` // where the image is published, those of the fleets among them
}

// ID returns the promotion's name, for example web@production#7.
func (p Promotion) ID() string { return fmt.Sprintf("%s@%s#%d", p.To.Name, p.Channel, p.Number) }

// doing says what a promotion does, for whoever comes in its way: "moves it to web:2".
func (p Promotion) doing() string {
	to := p.To.String()
	if p.To.Version == "" {
		to = "what was there before"
	}
	verb, what := "moves", "it"
	if p.Back {
		verb = "takes"
	}
	if p.Only {
		what = "some fleets"
	}
	if p.Back {
		what += " back"
	}
	return verb + " " + what + " to " + to
}

// Outcome is the end of a promotion.
type Outcome struct {
	Result Result    `json:"result"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Result says how a promotion ended. Read it with the promotion: of one with Back, and of one with Only, Promoted is another thing to tell people.
type Result string

// The ends of a promotion.
const (
	Promoted Result = "promoted"    // every fleet arrived and, unless they moved alone, the channel with them; with Back at what was there before
	Reverted Result = "rolled back" // the channel stayed, and every fleet has what it had
	Stopped  Result = "stopped"     // the channel stayed; fleets are where they are
)

// Active is the promotion that is under way in a channel. It is a head of the catalog: who moves it owns the promotion.
type Active struct {
	Number int       `json:"number"`           // of the promotion
	Driver string    `json:"driver"`           // process that carries it out: unique, and readable by people
	Wish   Wish      `json:"wish"`             // what people want of it
	By     string    `json:"by,omitempty"`     // who wished
	Reason string    `json:"reason,omitempty"` // why
	Final  bool      `json:"final,omitempty"`  // every fleet has arrived, and the channel moves unless they go alone: there is no way back any more
	Seen   time.Time `json:"seen"`             // when the driver last gave a sign of life, to about a minute
}

// Wish is what people want of a promotion that is under way.
type Wish string

// The wishes.
const (
	Proceed Wish = "run"
	Pause   Wish = "pause" // start nothing more; what is being replaced goes on to its end
	Abort   Wish = "abort" // stop and go back
)
