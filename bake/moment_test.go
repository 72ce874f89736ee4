package bake_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
)

func TestMomentsSurvive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := bake.Moment{Minute: rapid.IntRange(0, 24*60-1).Draw(t, "minute")}
		if m.Weekly = rapid.Bool().Draw(t, "weekly"); m.Weekly {
			m.Weekday = time.Weekday(rapid.IntRange(0, 6).Draw(t, "weekday"))
		} else {
			m.Date = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 3650).Draw(t, "date"))
		}
		wantRoundTrip(t, m)
	})
}

func TestMoments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bake.Moment{
		"2026-12-20 18:05": {Date: time.Date(2026, 12, 20, 0, 0, 0, 0, time.UTC), Minute: 18*60 + 5},
		"2026-12-20 00:00": {Date: time.Date(2026, 12, 20, 0, 0, 0, 0, time.UTC)},
		"Sun 00:00":        {Weekly: true},
		"Fri 23:59":        {Weekly: true, Weekday: time.Friday, Minute: 24*60 - 1},
	} {
		var m bake.Moment
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want || m.String() != text {
			t.Errorf("%s was read as %+v, %v and is written as %s: want %+v", text, m, err, m, want)
		}
	}
	for _, text := range []string{
		"", "Fri", "18:00", "fri 18:00", "Friday 18:00", "Fri 24:00", "Fri 8:00", "Fri 18:00:00", "Fri  18:00", " Fri 18:00", "Fri 18:60",
		"2026-12-20", "2026-02-30 10:00", "2026-12-20T18:00", "2026-12-20 18:00:00", "2026-12-20 18:00Z", "2026-12-20 8:00", "2026-12-20  18:00",
		"20.12.2026 18:00",
	} {
		var m bake.Moment
		if err := m.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "is no moment: write") {
			t.Errorf("%q was read as %s, %v", text, m, err)
		}
	}
}

// What is wrong with a moment is said as narrowly as it is known.
func TestMomentHints(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Mon 8:00":         "write the hour with two digits: Mon 08:00",
		"2026-12-20 8:05":  "write the hour with two digits: 2026-12-20 08:05",
		"Fr 16:00":         "write one of the days Mon Tue Wed Thu Fri Sat Sun, for example Fri 16:00",
		"Friday 8:00":      "write one of the days Mon Tue Wed Thu Fri Sat Sun, for example Fri 08:00",
		"2026-02-30 10:00": "write a day that there is, for example 2026-12-20 10:00",
		"Fri 24:00":        "write a day and a time, for example 2026-12-20 18:00, or Fri 18:00 for every week",
		"Fri":              "write a day and a time, for example 2026-12-20 18:00, or Fri 18:00 for every week",
	} {
		var m bake.Moment
		if err := m.UnmarshalText([]byte(text)); err == nil || !strings.HasSuffix(err.Error(), "is no moment: "+want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
