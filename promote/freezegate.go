package promote

import (
	"fmt"
	"slices"
	"time"
)

// Frozen returns until when the channel does not move, and why; it may move where that is the zero time. The error is for a time zone that
// nobody knows.
func (r Rule) Frozen(now time.Time) (until time.Time, reason string, err error) {
	for _, f := range r.Freeze {
		until, frozen, err := f.At(now)
		if err != nil {
			return time.Time{}, "", err
		}
		if frozen {
			until, err = thaw(r.Freeze, until)
			return until, f.Reason, err
		}
	}
	return time.Time{}, "", nil
}

const gateFreeze = "freeze"

// onlyFrozen returns the gate of a freeze where that is the only one that is shut.
func onlyFrozen(gates []Gate) (Gate, bool) {
	shut := slices.DeleteFunc(slices.Clone(gates), func(g Gate) bool { return g.Open })
	if len(shut) != 1 || shut[0].Name != gateFreeze {
		return Gate{}, false
	}
	return shut[0], true
}

func freezeGate(rule Rule, now time.Time) (Gate, error) {
	opens, reason, err := rule.Frozen(now)
	switch {
	case err != nil:
		return Gate{}, err
	case opens.IsZero():
		return Gate{Name: gateFreeze, Open: true, Detail: "no freeze holds"}, nil
	}
	detail := fmt.Sprintf("%s is frozen until %s", rule.Channel, utcText(opens))
	if reason != "" {
		detail += " (" + reason + ")"
	}
	return Gate{Name: gateFreeze, Detail: detail, Remedy: "wait until then, or change the freeze in iibake.yaml", Opens: opens}, nil
}

// thaw returns when none of the freezes holds any more, given when the one that holds now ends.
func thaw(freezes []Freeze, until time.Time) (time.Time, error) {
	for range maxFreezes {
		next := until
		for _, f := range freezes {
			end, frozen, err := f.At(until)
			if err != nil {
				return time.Time{}, err
			}
			if frozen && end.After(next) {
				next = end
			}
		}
		if next.Equal(until) {
			break
		}
		until = next
	}
	return until, nil
}

// maxFreezes bounds how many freezes are followed that begin as another one ends: weekly ones can make it for ever.
const maxFreezes = 100
