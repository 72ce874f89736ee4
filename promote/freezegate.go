package promote

import (
	"fmt"
	"time"
)

func freezeGate(rule Rule, now time.Time) (Gate, error) {
	for _, f := range rule.Freeze {
		until, frozen, err := f.At(now)
		if err != nil {
			return Gate{}, err
		}
		if !frozen {
			continue
		}
		opens, err := thaw(rule.Freeze, until)
		if err != nil {
			return Gate{}, err
		}
		detail := fmt.Sprintf("%s is frozen until %s", rule.Channel, utcText(opens))
		if f.Reason != "" {
			detail += " (" + f.Reason + ")"
		}
		return Gate{Name: "freeze", Detail: detail, Remedy: "wait until then, or change the freeze in iibake.yaml", Opens: opens}, nil
	}
	return Gate{Name: "freeze", Open: true, Detail: "no freeze holds"}, nil
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
