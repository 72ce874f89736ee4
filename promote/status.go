package promote

import (
	"context"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Watched is a channel of an image that a status tells of.
type Watched struct {
	Image   string // name
	Rule    Rule
	Targets []string // where the channel's parameter is, beside where its fleets are
}

// StatusConfig is what a status is made from.
type StatusConfig struct {
	Catalog catalog.Catalog
	Watched []Watched
	Rest    []Member                              // fleets that follow no channel
	Survey  func(context.Context, []Ask) []Survey // answers each ask, in their order
	Gone    func(driver string) bool              // reports whether a driver is known to be dead, however lately it was seen; nil: nobody knows
	Now     time.Time
}

// Status is how all channels and fleets are at one moment, and what is to be done about it.
type Status struct {
	Channels []ChannelStatus `json:"channels"`
	Rest     []FleetStatus   `json:"rest,omitempty"` // fleets that follow no channel
	Targets  []TargetStatus  `json:"targets"`
	Drift    []Drift         `json:"drift"` // everything that is not as it should be, the most urgent first
	At       time.Time       `json:"at"`
}

// ChannelStatus is how one channel of an image is.
type ChannelStatus struct {
	Image     string        `json:"image"` // name
	Channel   Channel       `json:"channel"`
	Holds     *bake.Ref     `json:"holds,omitempty"`
	Since     time.Time     `json:"since,omitzero"`   // when it came to hold that
	Created   time.Time     `json:"created,omitzero"` // the image
	MaxAge    bake.Duration `json:"max_age,omitempty"`
	Old       bool          `json:"old,omitempty"` // the image is older than MaxAge
	UnderWay  *UnderWay     `json:"under_way,omitempty"`
	Parameter string        `json:"parameter,omitempty"` // SSM parameter that is its alias
	Fleets    []FleetStatus `json:"fleets,omitempty"`    // wave by wave
}

// UnderWay is a promotion that has not ended, and who drives it.
type UnderWay struct {
	Promotion Promotion `json:"promotion"`
	Active    Active    `json:"active"`
	Silent    bool      `json:"silent,omitempty"` // its driver gives no sign of life
	Gone      bool      `json:"gone,omitempty"`   // its driver is known to be dead
}

// FleetStatus is how one fleet is. Where Unknown says why nothing is known of it, the counts are 0.
type FleetStatus struct {
	Fleet     string    `json:"fleet"`
	Target    string    `json:"target"`
	Account   string    `json:"account,omitempty"`
	Region    string    `json:"region,omitempty"`
	Group     string    `json:"group"`
	Wave      int       `json:"wave"`              // from 0
	Unknown   string    `json:"unknown,omitempty"` // why nothing is known of it
	Missing   bool      `json:"missing,omitempty"` // there is no such group
	Desired   int       `json:"desired"`           // instances, or the weight that they have together
	Healthy   int       `json:"healthy"`           // in service, in the unit of Desired
	Running   []Version `json:"running,omitempty"` // instances by what they run, most first
	Current   []Launch  `json:"current,omitempty"` // what the next instances are launched from
	Refresh   *Refresh  `json:"refresh,omitempty"`
	Phase     Phase     `json:"phase,omitempty"`     // of its rollout in the promotion under way
	Reason    string    `json:"reason,omitempty"`    // of that phase
	Unchecked bool      `json:"unchecked,omitempty"` // AWS was not asked for refreshes, in order to save calls
}

// TargetStatus is what was found out of one target.
type TargetStatus struct {
	Target  string `json:"target"`
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	Gaps    []Gap  `json:"gaps,omitempty"`
	Calls   int    `json:"calls"` // of AWS that it took
}

// Silence is how long the driver of a promotion may give no sign of life before it is taken for dead. It gives one every minute.
const Silence = 3 * time.Minute

// Look finds out how everything is. What could not be found out in an account stands in the status; the error is for the catalog.
func Look(ctx context.Context, c StatusConfig) (Status, error) {
	l, err := readLedger(ctx, c.Catalog, c.Watched)
	if err != nil {
		return Status{}, err
	}
	surveys := map[string]Survey{}
	if asks := l.asks(c.Rest); len(asks) > 0 {
		for _, s := range c.Survey(ctx, asks) {
			surveys[s.Target] = s
		}
	}
	if err := ctx.Err(); err != nil {
		return Status{}, err
	}
	v := &view{ledger: l, surveys: surveys, now: c.Now, gone: c.Gone}
	return v.status(c.Rest), nil
}

// Complete reports whether everything could be looked at.
func (s Status) Complete() bool {
	for _, t := range s.Targets {
		if len(t.Gaps) > 0 {
			return false
		}
	}
	return true
}

// Urgent returns how many things are to be mended, without what is only worth knowing.
func (s Status) Urgent() int {
	n := 0
	for _, d := range s.Drift {
		if !d.Notice {
			n++
		}
	}
	return n
}
