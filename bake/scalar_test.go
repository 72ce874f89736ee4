package bake_test

import (
	"encoding"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
)

func TestScalarsSurvive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]bake.Size{1, bake.KiB, bake.MiB, bake.GiB, bake.TiB}).Draw(t, "unit")
		wantRoundTrip(t, unit*bake.Size(rapid.Int64Range(0, int64(math.MaxInt64/unit)).Draw(t, "size")))
		span := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "span")
		wantRoundTrip(t, bake.Duration(span*time.Duration(rapid.Int64Range(0, int64(math.MaxInt64/span)).Draw(t, "duration"))))
		wantRoundTrip(t, bake.FileMode(rapid.Uint32Range(0, 0o7777).Draw(t, "mode")))
	})
}

func wantRoundTrip[T comparable](t *rapid.T, v T) {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := json.Unmarshal(b, &got); err != nil || got != v {
		t.Fatalf("%v was written as %s and read as %v: %v", v, b, got, err)
	}
}

func TestScalars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bake.Size{
		"0": 0, "512": 512, "4GiB": 4 * bake.GiB, "1KiB": 1024, "7TiB": 7 * bake.TiB, "8388607TiB": 8388607 * bake.TiB,
	} {
		wantText(t, new(bake.Size), text, want)
	}
	wantText(t, new(bake.Size), " 4 GiB ", 4*bake.GiB)
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "90d": 90 * 24 * time.Hour, "0d": 0, "1.5h": 90 * time.Minute,
		"106751d": 106751 * 24 * time.Hour,
	} {
		wantText(t, new(bake.Duration), text, bake.Duration(want))
	}
	for text, want := range map[string]bake.FileMode{"0": 0, "644": 0o644, "0644": 0o644, "7777": 0o7777} {
		wantText(t, new(bake.FileMode), text, want)
	}
}

func wantText[T any, P interface {
	*T
	encoding.TextUnmarshaler
}, V comparable](t *testing.T, p P, text string, want V) {
	t.Helper()
	err := p.UnmarshalText([]byte(text))
	if got := any(*p); err != nil || got != any(want) {
		t.Errorf("%q: got %v and %v, want %v", text, got, err, want)
	}
}

func TestScalarsRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to   encoding.TextUnmarshaler
		bad  []string
		want string
	}{
		{new(bake.Size), []string{"", "GiB", "-1", "1.5GiB", "4GB", "4 gib", "4GiBMiB", "8388608TiB", "9223372036854775808", "1e3"}, "for example 4GiB"},
		{new(bake.Duration), []string{"", "d", "90", "-1s", "-1d", "1.5d", "106752d", "1d2h", "99999999999999999999d", "forever"}, "for example 90s"},
		{new(bake.FileMode), []string{"", "8", "0o644", "rwx", "10000", "-1", "0x1ff"}, `for example "0644"`},
	} {
		for _, text := range c.bad {
			err := c.to.UnmarshalText([]byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"`+text+`"`) {
				t.Errorf("%T %q: got %v", c.to, text, err)
			}
		}
	}
}

func TestScalarsAreReadable(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]interface{ String() string }{
		"0": bake.Size(0), "1023": bake.Size(1023), "1KiB": bake.KiB, "1536MiB": 1536 * bake.MiB, "2TiB": 2048 * bake.GiB,
		"0s": bake.Duration(0), "1m": bake.Duration(time.Minute), "10m": bake.Duration(10 * time.Minute),
		"1h": bake.Duration(time.Hour), "20h": bake.Duration(20 * time.Hour), "1h30m": bake.Duration(90 * time.Minute),
		"90d": bake.Duration(90 * 24 * time.Hour), "36h": bake.Duration(36 * time.Hour), "1h0m1s": bake.Duration(time.Hour + time.Second),
	} {
		if got := v.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if b, err := bake.FileMode(0o55).MarshalText(); err != nil || string(b) != "0055" {
		t.Errorf("got %q and %v", b, err)
	}
}
