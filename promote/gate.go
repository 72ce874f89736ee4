package promote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Rule is a channel as iibake.yaml has it: what it demands of an image before the channel moves to it, and what follows the channel.
type Rule struct {
	Channel   Channel
	After     Channel       // channel that the image must have been in before; empty for none
	Age       bake.Duration // how long it must have been there without a break
	Approvals int           // how many people must agree
	NotAuthor bool          // of whom none made the image
	Freeze    []Freeze
	Waves     [][]Member    // of the image's fleets, those that move together
	Soak      bake.Duration // after each wave
	MaxAge    bake.Duration // of the image that the channel holds, before status complains; 0 for any
	Parameter string        // name of the SSM parameter that is an alias of the channel; empty for none
	Back      bool          // the channel goes back to an image that it held: what it demanded then is not demanded again
	Held      bool          // the channel holds the image, and fleets are brought to it: neither is it then, but a freeze keeps them where they are
}

// Gate is one demand that is put to an image, and whether it is met.
type Gate struct {
	Name   string    `json:"name"` // verdict, revoked, commit, age, approvals or freeze
	Open   bool      `json:"open"`
	Detail string    `json:"detail"`           // what was found
	Remedy string    `json:"remedy,omitempty"` // what to do about one that is shut
	Opens  time.Time `json:"opens,omitzero"`   // when one that is shut opens by itself
	At     time.Time `json:"at,omitzero"`      // of the verdict: when it was given
}

// Gates holds images against the rules of channels.
type Gates struct {
	c           catalog.Catalog
	channels    Channels
	revocations Revocations
	approvals   Approvals
}

// NewGates returns the gates that go by what is on record in c.
func NewGates(c catalog.Catalog) Gates {
	return Gates{c, NewChannels(c), NewRevocations(c), NewApprovals(c)}
}

// Check puts all that a rule demands to img, at one moment, and returns every answer. It is to be called again after every wait. The
// error is for what kept it from looking.
func (g Gates) Check(ctx context.Context, img bake.Image, rule Rule, now time.Time) ([]Gate, error) {
	checks := []func() (Gate, error){
		func() (Gate, error) { return g.verdict(ctx, img) },
		func() (Gate, error) { return revokedGate(ctx, g.revocations, img) },
	}
	enters := !rule.Back && !rule.Held
	if enters && rule.Channel != Candidate {
		checks = append(checks, func() (Gate, error) { return commitGate(img), nil })
	}
	if enters && rule.After != "" {
		checks = append(checks, func() (Gate, error) { return g.age(ctx, img, rule, now) })
	}
	if enters && rule.Approvals > 0 {
		checks = append(checks, func() (Gate, error) { return g.approved(ctx, img, rule) })
	}
	if !rule.Back && len(rule.Freeze) > 0 {
		checks = append(checks, func() (Gate, error) { return freezeGate(rule, now) })
	}
	var gates []Gate
	for _, check := range checks {
		gate, err := check()
		if err != nil {
			return nil, fmt.Errorf("gates of %s for %s: %w", img.Ref, rule.Channel, err)
		}
		gates = append(gates, gate)
	}
	return gates, nil
}

// Refused returns an error that wraps [bake.ErrRefused] and names each gate that is shut and what to do, or nil where all are open.
func Refused(gates []Gate) error {
	if all := refusals(gates); len(all) > 0 {
		return fmt.Errorf("%w: %s", bake.ErrRefused, strings.Join(all, "; "))
	}
	return nil
}

// refusals names each gate that is shut, why, and what to do.
func refusals(gates []Gate) []string {
	var all []string
	for _, g := range gates {
		if !g.Open {
			all = append(all, g.Name+": "+g.Detail+": "+g.Remedy)
		}
	}
	return all
}

func (g Gates) verdict(ctx context.Context, img bake.Image) (Gate, error) {
	gate := Gate{Name: "verdict", Remedy: "test it again, and mend what fails"}
	v, err := g.channels.verdict(ctx, img.Ref)
	switch {
	case errors.Is(err, bake.ErrNotFound):
		gate.Detail, gate.Remedy = "it was never tested", "test it"
		return gate, nil
	case err != nil:
		return Gate{}, err
	}
	gate.At = v.At
	switch when := utcText(v.At); {
	case !v.Passed():
		gate.Detail = "it did not pass its tests at " + when
	case v.Disk != img.Disk:
		gate.Detail = fmt.Sprintf("disk %s was tested at %s, not its disk %s", v.Disk.Short(), when, img.Disk.Short())
	default:
		return Gate{Name: gate.Name, Open: true, Detail: "passed at " + when, At: v.At}, nil
	}
	return gate, nil
}

func revokedGate(ctx context.Context, revocations Revocations, img bake.Image) (Gate, error) {
	r, err := revocations.Of(ctx, img)
	if errors.Is(err, bake.ErrNotFound) {
		return Gate{Name: "revoked", Open: true, Detail: "neither it nor what it comes from was revoked"}, nil
	}
	if err != nil {
		return Gate{}, err
	}
	what := "it"
	if r.Image != img.Ref {
		what = r.Image.String() + ", which it comes from,"
	}
	return Gate{
		Name: "revoked", Detail: fmt.Sprintf("%s was revoked by %s at %s: %s", what, r.By, utcText(r.At), r.Reason),
		Remedy: "promote another version",
	}, nil
}

func commitGate(img bake.Image) Gate {
	if img.Dirty || img.Commit == "" {
		return Gate{Name: "commit", Detail: "it holds changes that are in no commit", Remedy: "commit them, and build again"}
	}
	return Gate{Name: "commit", Open: true, Detail: "baked from commit " + img.Commit}
}

func utcText(t time.Time) string { return t.UTC().Format(time.DateTime + " UTC") }
