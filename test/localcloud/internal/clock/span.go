package clock

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Span is a length of time that may differ from one use to the next. Its text forms are
//
//	20s       always
//	20s..40s  anything between, equally likely
//	30s~5s    30 seconds on average with a standard deviation of 5, never negative
//	never     no end
//
// The zero Span is no time at all.
type Span struct {
	low, high time.Duration
	deviation time.Duration
	never     bool
}

// For returns the Span that is always d.
func For(d time.Duration) Span { return Span{low: d, high: d} }

// Between returns the Span that is anything from low to high.
func Between(low, high time.Duration) Span { return Span{low: low, high: high} }

// Never returns the Span without end.
func Never() Span { return Span{never: true} }

// ParseSpan reads a Span.
func ParseSpan(text string) (Span, error) {
	if text == "never" {
		return Never(), nil
	}
	if low, high, ok := strings.Cut(text, ".."); ok {
		return parsePair(text, low, high, func(a, b time.Duration) (Span, bool) { return Between(a, b), a <= b })
	}
	if mean, deviation, ok := strings.Cut(text, "~"); ok {
		return parsePair(text, mean, deviation, func(a, b time.Duration) (Span, bool) { return Span{low: a, high: a, deviation: b}, true })
	}
	return parsePair(text, text, text, func(a, _ time.Duration) (Span, bool) { return For(a), true })
}

func parsePair(text, first, second string, join func(a, b time.Duration) (Span, bool)) (Span, error) {
	a, errA := time.ParseDuration(first)
	b, errB := time.ParseDuration(second)
	if errA == nil && errB == nil && a >= 0 && b >= 0 {
		if s, ok := join(a, b); ok {
			return s, nil
		}
	}
	return Span{}, fmt.Errorf("%q is no length of time: write 20s, 20s..40s, 30s~5s or never", text)
}

// UnmarshalText reads a Span.
func (s *Span) UnmarshalText(text []byte) error {
	read, err := ParseSpan(string(text))
	if err == nil {
		*s = read
	}
	return err
}

// MarshalText returns the text form.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the text form.
func (s Span) String() string {
	switch {
	case s.never:
		return "never"
	case s.deviation > 0:
		return s.low.String() + "~" + s.deviation.String()
	case s.low != s.high:
		return s.low.String() + ".." + s.high.String()
	}
	return s.low.String()
}

// Pick returns one length. It asks for random numbers in [0, 1) as it needs them, none for a Span that is always the same. ok is
// false for the Span without end.
func (s Span) Pick(random func() float64) (d time.Duration, ok bool) {
	switch {
	case s.never:
		return 0, false
	case s.deviation > 0:
		// Box and Muller's transformation; 1-u is never 0.
		z := math.Sqrt(-2*math.Log(1-random())) * math.Cos(2*math.Pi*random())
		return max(0, s.low+time.Duration(z*float64(s.deviation))), true
	case s.high > s.low:
		return s.low + time.Duration(random()*float64(s.high-s.low)), true
	}
	return s.low, true
}
