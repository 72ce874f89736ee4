package promote

import (
	"context"
	"errors"
	"time"

	"github.com/iibake/iibake/bake"
)

// Request is what somebody wants of a channel. Which fleets follow it, and how, its [Rule] says.
type Request struct {
	Image   bake.Ref
	Channel Channel
	Fleets  []string // these alone, and the channel stays; empty: all fleets, and the channel
	Targets []string // where the image shall be published beside where its fleets are
	Keep    bool     // after a failure, fleets that moved stay where they are
	Pin     bool     // aliases of launch template versions become numbers
	By      string
	Reason  string
}

// Plan is what a promotion would do. Making it changes nothing.
type Plan struct {
	Promotion Promotion            `json:"promotion"`          // without a number
	Image     *bake.Image          `json:"image,omitempty"`    // that the channel shall hold; nil on the way back to what iibake did not make
	Before    *bake.Image          `json:"before,omitempty"`   // that the channel holds
	Verdict   time.Time            `json:"verdict,omitzero"`   // when the newest verdict on Image was given
	Packages  []bake.PackageChange `json:"packages,omitempty"` // from Before to Image
	Gates     []Gate               `json:"gates,omitempty"`
	Fleets    []FleetPlan          `json:"fleets,omitempty"`   // wave by wave
	Publish   []string             `json:"publish,omitempty"`  // targets where the image is not yet
	Estimate  bake.Duration        `json:"estimate,omitempty"` // of all waves with their soaks; publishing apart
	Refusals  []string             `json:"refusals,omitempty"` // of gates, fleets and the channel, each with what to do
	Notes     []string             `json:"notes,omitempty"`
	There     bool                 `json:"there,omitempty"`  // channel and fleets have the image already: there is nothing to do
	Aborts    *Active              `json:"aborts,omitempty"` // of a rollback: the promotion under way, which is taken over and goes back
	At        time.Time            `json:"at"`
}

// FleetPlan is what a promotion would do to one fleet. What the fleet goes back to stands in Current of its preflight.
type FleetPlan struct {
	Wave  int    `json:"wave"` // from 0
	Fleet Member `json:"fleet"`
	AMI   string `json:"ami,omitempty"`   // of the image where the fleet is; empty where it is not published yet
	Moves []Move `json:"moves,omitempty"` // of a rollback: launch template versions that were kept; the fleet goes from To to From
	Error string `json:"error,omitempty"` // what kept the preflight from looking; it is among the refusals
	Preflight
}

// Plan looks at everything that a promotion needs and changes nothing. What speaks against it stands in the plan's Refusals, all at
// once; the error is for what kept it from looking at the image or the catalog.
func (p *Promoter) Plan(ctx context.Context, r Request) (Plan, error) {
	return Plan{}, errors.New("not yet")
}
