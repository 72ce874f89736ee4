package promote

import (
	"context"
	"errors"
	"time"

	"github.com/iibake/iibake/bake"
)

// DrillRequest asks whether a fleet could go back.
type DrillRequest struct {
	Channel Channel
	Fleet   Member
	By      string
	// Try boots an image as a machine and tests it, and returns an error where it does not pass. nil: it is not tried.
	Try func(ctx context.Context, img bake.Image) error
}

// Drill is the record of a rehearsal.
type Drill struct {
	Fleet     string        `json:"fleet"`
	Channel   Channel       `json:"channel"`
	Image     *bake.Ref     `json:"image,omitempty"` // that the fleet would go back to; nil for one that iibake did not make
	Moves     []Move        `json:"moves,omitempty"` // it would go from To to From
	Preflight Preflight     `json:"preflight"`
	Tried     bool          `json:"tried,omitempty"`    // the image was booted and tested
	Took      bake.Duration `json:"took,omitempty"`     // booting and testing
	Failures  []string      `json:"failures,omitempty"` // why the way back would not work
	Notes     []string      `json:"notes,omitempty"`
	By        string        `json:"by"`
	At        time.Time     `json:"at"`
}

// Passed reports whether the fleet could go back. How long that would take is Preflight.Estimate.
func (d Drill) Passed() bool { return len(d.Failures) == 0 }

// Drill finds out whether a fleet could go back to what it ran before, without touching it, and puts the answer on record. The
// error is for what kept it from finding out; it wraps [bake.ErrNotFound] where the fleet never got an image from a promotion.
func (p *Promoter) Drill(ctx context.Context, r DrillRequest) (Drill, error) {
	return Drill{}, errors.New("not yet")
}

// Drills returns the rehearsals of a fleet, oldest first.
func (p *Promoter) Drills(ctx context.Context, fleet string) ([]Drill, error) {
	return nil, errors.New("not yet")
}
