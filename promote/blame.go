package promote

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// blame looks for a reason not to go on. On the way back a fleet that fails is none until the others are there: they are to get back.
func (d *drive) blame() {
	if d.failure != nil {
		return
	}
	if d.active.Wish == Abort {
		d.failure = fmt.Errorf("aborted by %s%s", d.active.By, joined(": ", d.active.Reason))
		return
	}
	onItsWay := func(l *leg) bool { return l.busy || !l.ended() }
	if d.p.Back && slices.ContainsFunc(d.legs, onItsWay) {
		return
	}
	for _, along := range []bool{false, true} { // who takes over finds those, too, that were taken along
		for _, l := range d.legs {
			if !l.busy && l.amiss() && l.r.Along == along {
				d.failure = l.failure()
				return
			}
		}
	}
}

// fleetError is why a fleet did not go as it should.
type fleetError struct {
	fleet string
	err   error
}

func (e *fleetError) Error() string { return e.fleet + ": " + e.err.Error() }
func (e *fleetError) Unwrap() error { return e.err }

// failure says why the leg did not go as it should. One that was taken along tells of whom it was taken along with.
func (l *leg) failure() error {
	switch {
	case l.err != nil:
		return &fleetError{l.r.Fleet.Name, l.err}
	case l.r.Along && l.r.Phase != Failed:
		return errors.New(strings.TrimPrefix(l.r.Reason, notStarted))
	}
	return &fleetError{l.r.Fleet.Name, errors.New(orElse(l.r.Reason, string(l.r.Phase)))}
}

// cause says in short why the promotion does not go on, for the record of each fleet that goes back for it.
func (d *drive) cause() string {
	if failed, ok := errors.AsType[*fleetError](d.failure); ok {
		return brief(failed.fleet + " failed: " + failed.err.Error())
	}
	return brief(d.failure.Error())
}

// maxCause is how long a reason is that stands on the record of many fleets.
const maxCause = 300

// oneLine joins what several errors say in several lines: a reason on record is one.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

func brief(s string) string {
	s = strings.Join(strings.Fields(oneLine(s)), " ")
	if runes := []rune(s); len(runes) > maxCause {
		return string(runes[:maxCause-1]) + "…"
	}
	return s
}

func joined(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}
