package promote

import (
	"fmt"
	"time"

	"github.com/iibake/iibake/bake"
)

// Freeze is a time in which a channel does not move: once, or every week, where From and Until are weekly. It begins and ends by the
// clocks of its time zone. A time that these clocks show twice, as summer time ends, counts as what makes the freeze longer; one that
// they leave out counts as the moment at which they are put forward.
type Freeze struct {
	From   bake.Moment `json:"from"`
	Until  bake.Moment `json:"until"`
	Zone   string      `json:"zone,omitempty"` // for example Europe/Berlin; UTC where it is empty
	Reason string      `json:"reason,omitempty"`
}

// At returns when the freeze that holds at now ends, and false where none does. The error is for a time zone that nobody knows.
func (f Freeze) At(now time.Time) (until time.Time, frozen bool, err error) {
	zone, err := time.LoadLocation(f.Zone)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("freeze from %s: %w", f.From, err)
	}
	if !f.From.Weekly {
		from, until := wallClock(zone, f.From.Date, f.From.Minute).first, wallClock(zone, f.Until.Date, f.Until.Minute).last
		return until, !now.Before(from) && now.Before(until), nil
	}
	// The freeze that may hold now began on one of the last days: a week of the past, and one day for the time zone.
	today := now.In(zone)
	midnight := time.Date(today.Year(), today.Month(), today.Day(), 0, 0, 0, 0, time.UTC)
	for back := range daysOfWeek + 1 {
		date := midnight.AddDate(0, 0, -back)
		if date.Weekday() != f.From.Weekday {
			continue
		}
		from := wallClock(zone, date, f.From.Minute).first
		until := wallClock(zone, date.AddDate(0, 0, f.days()), f.Until.Minute).last
		if !now.Before(from) && now.Before(until) {
			return until, true, nil
		}
	}
	return time.Time{}, false, nil
}

const (
	daysOfWeek = 7
	aDay       = 24 * time.Hour
)

// days returns on which day after its first one a weekly freeze ends.
func (f Freeze) days() int {
	n := (int(f.Until.Weekday-f.From.Weekday) + daysOfWeek) % daysOfWeek
	if n == 0 && f.Until.Minute <= f.From.Minute {
		return daysOfWeek
	}
	return n
}

// instants is when the clocks of a time zone show a time: once, or first and last.
type instants struct{ first, last time.Time }

// wallClock returns when clocks in zone show a minute of a date, which is a midnight in UTC.
func wallClock(zone *time.Location, date time.Time, minute int) instants {
	shown := date.Add(time.Duration(minute) * time.Minute)
	before, after := inOffset(zone, shown, -aDay), inOffset(zone, shown, aDay)
	early, late := showing(zone, before, shown), showing(zone, after, shown)
	switch {
	case early && late:
		return instants{before, after}
	case early:
		return instants{before, before}
	case late:
		return instants{after, after}
	}
	start, _ := before.In(zone).ZoneBounds() // by the offset of the day before, this is behind the moment at which clocks are put forward
	return instants{start, start}
}

// inOffset returns when the clocks would show a time by the offset that zone has some time before or after it.
func inOffset(zone *time.Location, shown time.Time, away time.Duration) time.Time {
	_, offset := shown.Add(away).In(zone).Zone()
	return shown.Add(-time.Duration(offset) * time.Second)
}

// showing reports whether the clocks of zone show a time at t.
func showing(zone *time.Location, t, shown time.Time) bool {
	_, offset := t.In(zone).Zone()
	return t.Add(time.Duration(offset) * time.Second).Equal(shown)
}
