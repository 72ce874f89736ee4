package bake

import (
	"fmt"
	"strings"
	"time"
)

// Moment is a time as a clock on a wall shows it, without a time zone: on one day, or every week. In a template it is written
// 2026-12-20 18:00 or Fri 18:00.
type Moment struct {
	Weekly  bool         // every week on Weekday; otherwise on Date alone
	Weekday time.Weekday // of a weekly one
	Date    time.Time    // midnight of the day, in UTC; of one that is not weekly
	Minute  int          // of the day
}

const (
	momentLayout = "2006-01-02 15:04"
	clockLayout  = "15:04"
)

// UnmarshalText reads a moment.
func (m *Moment) UnmarshalText(b []byte) error {
	text := string(b)
	if t, err := time.Parse(momentLayout, text); err == nil && t.Format(momentLayout) == text {
		*m = Moment{Date: t.Truncate(day), Minute: minuteOfDay(t)}
		return nil
	}
	word, clock, _ := strings.Cut(text, " ")
	for d := time.Sunday; d <= time.Saturday; d++ {
		if t, err := time.Parse(clockLayout, clock); err == nil && len(clock) == len(clockLayout) && word == d.String()[:3] {
			*m = Moment{Weekly: true, Weekday: d, Minute: minuteOfDay(t)}
			return nil
		}
	}
	return fmt.Errorf("%q is no moment: write %s", b, rightMoment(word, clock))
}

// rightMoment says what to write instead of a day and a time of which one is wrong.
func rightMoment(word, clock string) string {
	t, err := time.Parse(clockLayout, clock) // which takes an hour of one digit
	if err != nil {
		return "a day and a time, for example 2026-12-20 18:00, or Fri 18:00 for every week"
	}
	_, noDate := time.Parse(time.DateOnly, word)
	isDay := noDate == nil
	for d := time.Sunday; d <= time.Saturday; d++ {
		isDay = isDay || word == d.String()[:3]
	}
	switch {
	case isDay:
		return "the hour with two digits: " + word + " " + t.Format(clockLayout)
	case strings.Trim(word, "0123456789-") == "":
		return "a day that there is, for example 2026-12-20 " + t.Format(clockLayout)
	}
	return "one of the days Mon Tue Wed Thu Fri Sat Sun, for example Fri " + t.Format(clockLayout)
}

func minuteOfDay(t time.Time) int { return 60*t.Hour() + t.Minute() }

// MarshalText writes the moment as it would stand in a template.
func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// String writes the moment as it would stand in a template.
func (m Moment) String() string {
	clock := fmt.Sprintf(" %02d:%02d", m.Minute/60, m.Minute%60)
	if m.Weekly {
		return m.Weekday.String()[:3] + clock
	}
	return m.Date.Format(time.DateOnly) + clock
}
