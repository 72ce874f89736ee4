package clock_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

func TestParseSpan(t *testing.T) {
	for _, text := range []string{"20s", "20s..40s", "30s~5s", "never", "0s", "1.5s"} {
		s, err := clock.ParseSpan(text)
		if again, _ := s.MarshalText(); err != nil || s.String() != text || string(again) != text {
			t.Errorf("%s: got %s, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "20", "-1s", "40s..20s", "20s..", "..", "5s~", "always", "1s..2s..3s", "1s~-1s"} {
		if s, err := clock.ParseSpan(text); err == nil {
			t.Errorf("%q was read as %s", text, s)
		}
	}
}

func TestSpanPicksWhatItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := clock.Random(rapid.Uint64().Draw(t, "seed"), "x", rapid.Int().Draw(t, "nth"))
		low := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "low"))
		high := low + time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more"))
		if d, ok := clock.For(low).Pick(random); !ok || d != low {
			t.Fatalf("picked %v", d)
		}
		if d, ok := clock.Between(low, high).Pick(random); !ok || d < low || d > high {
			t.Fatalf("picked %v from %v to %v", d, low, high)
		}
		var normal clock.Span
		if err := normal.UnmarshalText([]byte(low.String() + "~" + high.String())); err != nil {
			t.Fatal(err)
		}
		if d, ok := normal.Pick(random); !ok || d < 0 {
			t.Fatalf("picked %v", d)
		}
		if _, ok := clock.Never().Pick(random); ok {
			t.Fatal("never came")
		}
	})
}

func TestNormalSpanHasItsMean(t *testing.T) {
	s, err := clock.ParseSpan("60s~10s")
	if err != nil {
		t.Fatal(err)
	}
	random, sum, within := clock.Random(1, "normal", 0), time.Duration(0), 0
	for range 10_000 {
		d, _ := s.Pick(random)
		sum += d
		if (d - time.Minute).Abs() <= 10*time.Second {
			within++
		}
	}
	if mean := sum / 10_000; (mean - time.Minute).Abs() > time.Second {
		t.Errorf("the mean is %v", mean)
	}
	if within < 6500 || within > 7200 { // 68.3 % lie within a standard deviation
		t.Errorf("%d of 10000 lie within the standard deviation", within)
	}
}

func TestRandomIsRepeatable(t *testing.T) {
	draw := func(seed uint64, name string, nth int) float64 { return clock.Random(seed, name, nth)() }
	first := draw(1, "a", 1)
	if draw(1, "a", 1) != first {
		t.Error("the same draw differs")
	}
	for _, other := range []float64{draw(2, "a", 1), draw(1, "b", 1), draw(1, "a", 2)} {
		if other == first {
			t.Error("another draw is the same")
		}
	}
}
