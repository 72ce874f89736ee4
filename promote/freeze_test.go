package promote_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

func moment(t testing.TB, text string) bake.Moment {
	t.Helper()
	var m bake.Moment
	if err := m.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}

func freeze(t testing.TB, from, until, zone string) promote.Freeze {
	t.Helper()
	return promote.Freeze{From: moment(t, from), Until: moment(t, until), Zone: zone}
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	const berlin = "Europe/Berlin"
	for _, c := range []struct{ from, until, zone, now, ends string }{
		{"2026-12-20 18:00", "2027-01-04 08:00", "", "2026-12-20T17:59:59Z", ""},
		{"2026-12-20 18:00", "2027-01-04 08:00", "", "2026-12-20T18:00:00Z", "2027-01-04T08:00:00Z"},
		{"2026-12-20 18:00", "2027-01-04 08:00", "", "2027-01-04T08:00:00Z", ""},
		{"2026-12-20 18:00", "2027-01-04 08:00", berlin, "2026-12-20T17:00:00Z", "2027-01-04T07:00:00Z"},
		{"2026-06-20 18:00", "2026-06-21 08:00", berlin, "2026-06-20T15:59:59Z", ""},
		{"2026-06-20 18:00", "2026-06-21 08:00", berlin, "2026-06-20T16:00:00Z", "2026-06-21T06:00:00Z"},

		{"Fri 16:00", "Mon 08:00", "", "2026-11-20T15:59:59Z", ""}, // a Friday
		{"Fri 16:00", "Mon 08:00", "", "2026-11-20T16:00:00Z", "2026-11-23T08:00:00Z"},
		{"Fri 16:00", "Mon 08:00", "", "2026-11-22T12:00:00Z", "2026-11-23T08:00:00Z"},
		{"Fri 16:00", "Mon 08:00", "", "2026-11-23T08:00:00Z", ""},
		{"Mon 08:00", "Fri 16:00", "", "2026-11-22T12:00:00Z", ""},
		{"Mon 08:00", "Fri 16:00", "", "2026-11-18T12:00:00Z", "2026-11-20T16:00:00Z"},
		{"Fri 16:00", "Fri 15:59", "", "2026-11-20T15:59:30Z", ""}, // all the week but a minute
		{"Fri 16:00", "Fri 15:59", "", "2026-11-20T15:58:30Z", "2026-11-20T15:59:00Z"},
		{"Fri 16:00", "Fri 16:00", "", "2026-11-20T15:59:30Z", "2026-11-20T16:00:00Z"}, // all of it
		{"Fri 16:00", "Fri 17:00", "", "2026-11-20T16:30:00Z", "2026-11-20T17:00:00Z"},
		{"Sat 00:00", "Mon 00:00", "Pacific/Auckland", "2026-11-20T11:00:00Z", "2026-11-22T11:00:00Z"}, // Saturday there, Friday in UTC

		// Summer time ends in Berlin on 25 October 2026 at 01:00 UTC: 02:00 to 03:00 comes twice. The freeze takes the longer way.
		{"Sat 20:00", "Sun 02:30", berlin, "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z"},
		{"Sat 20:00", "Sun 02:30", berlin, "2026-10-25T01:15:00Z", "2026-10-25T01:30:00Z"},
		{"Sat 20:00", "Sun 02:30", berlin, "2026-10-25T01:30:00Z", ""},
		{"Sun 02:30", "Sun 20:00", berlin, "2026-10-25T00:29:00Z", ""},
		{"Sun 02:30", "Sun 20:00", berlin, "2026-10-25T00:30:00Z", "2026-10-25T19:00:00Z"},
		{"Sun 02:30", "Sun 20:00", berlin, "2026-10-25T01:10:00Z", "2026-10-25T19:00:00Z"},
		// It begins on 29 March 2026 at 01:00 UTC: 02:00 to 03:00 is left out.
		{"Sat 20:00", "Sun 02:30", berlin, "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"},
		{"Sun 02:30", "Sun 20:00", berlin, "2026-03-29T00:59:59Z", ""},
		{"Sun 02:30", "Sun 20:00", berlin, "2026-03-29T01:00:00Z", "2026-03-29T18:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		until, frozen, err := freeze(t, c.from, c.until, c.zone).At(now)
		have := ""
		if frozen {
			have = until.UTC().Format(time.RFC3339)
		}
		if err != nil || have != c.ends {
			t.Errorf("%s to %s in %q at %s: frozen until %q, %v: want %q", c.from, c.until, c.zone, c.now, have, err, c.ends)
		}
	}
}

func TestFreezeInNoZone(t *testing.T) {
	t.Parallel()
	if _, _, err := freeze(t, "Fri 16:00", "Mon 08:00", "Europe/Berlim").At(at); err == nil {
		t.Error("no error")
	}
}

// TestFreezeByTheClock holds Freeze.At against somebody who looks at the clock on the wall every minute.
func TestFreezeByTheClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo", "America/St_Johns"}).Draw(t, "zone")
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		// Around the ends of summer time, in hours that it may touch, more often than not.
		day := rapid.SampledFrom([]string{"2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-10-04", "2026-10-25", "2026-10-30", "2026-11-01", "2026-07-15"}).Draw(t, "day")
		midnight, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		begin := rapid.IntRange(0, 4*60).Draw(t, "begin")
		length := rapid.IntRange(1, 3*24*60).Draw(t, "length")
		from, until := midnight.Add(time.Duration(begin)*time.Minute), midnight.Add(time.Duration(begin+length)*time.Minute)
		f := promote.Freeze{From: onDate(from), Until: onDate(until), Zone: zone}
		if rapid.Bool().Draw(t, "weekly") {
			f.From, f.Until = onWeekday(from), onWeekday(until)
		}
		starts, ends := firstAt(place, from), lastAt(place, until)
		now := midnight.Add(time.Duration(rapid.IntRange(-26*60, 98*60).Draw(t, "now")) * time.Minute)
		got, frozen, err := f.At(now)
		if err != nil {
			t.Fatal(err)
		}
		if want := !now.Before(starts) && now.Before(ends); frozen != want || frozen && !got.Equal(ends) {
			t.Fatalf("%s to %s in %s at %s: %v until %s: want %v, %s to %s", f.From, f.Until, zone, now, frozen, got.UTC(), want, starts, ends)
		}
	})
}

func onDate(t time.Time) bake.Moment {
	return bake.Moment{Date: t.Truncate(24 * time.Hour), Minute: 60*t.Hour() + t.Minute()}
}

func onWeekday(t time.Time) bake.Moment {
	return bake.Moment{Weekly: true, Weekday: t.Weekday(), Minute: 60*t.Hour() + t.Minute()}
}

// wall returns what clocks show, as a time in UTC.
func wall(place *time.Location, t time.Time) time.Time {
	_, offset := t.In(place).Zone()
	return t.Add(time.Duration(offset) * time.Second)
}

// firstAt returns the first minute at which clocks show a time or a later one.
func firstAt(place *time.Location, shown time.Time) time.Time {
	t := shown.Add(-26 * time.Hour)
	for wall(place, t).Before(shown) {
		t = t.Add(time.Minute)
	}
	return t
}

// lastAt returns the minute from which on clocks show nothing earlier than a time any more.
func lastAt(place *time.Location, shown time.Time) time.Time {
	t := shown.Add(26 * time.Hour)
	for !wall(place, t.Add(-time.Minute)).Before(shown) {
		t = t.Add(-time.Minute)
	}
	return t
}
