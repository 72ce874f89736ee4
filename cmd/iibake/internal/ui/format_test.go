package ui_test

import (
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 10 << 10: "10 KiB", 1<<20 - 1: "1.0 MiB",
		350 << 20: "350 MiB", 8 << 30: "8.0 GiB", 5 << 40: "5.0 TiB", 5000 << 40: "5000 TiB",
	} {
		if got := ui.Bytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0s", 44 * time.Millisecond: "0.0s", 8340 * time.Millisecond: "8.3s", 9960 * time.Millisecond: "10s",
		59700 * time.Millisecond: "1m00s", 72 * time.Second: "1m12s", 59*time.Minute + 59*time.Second: "59m59s",
		time.Hour - 400*time.Millisecond: "1h00m", time.Hour - time.Second/2: "1h00m", time.Hour - 501*time.Millisecond: "59m59s", 130 * time.Minute: "2h10m",
	} {
		if got := ui.Took(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 59 * time.Second: "now", 5 * time.Minute: "5m", 47 * time.Hour: "47h", 49 * time.Hour: "2d", 900 * time.Hour: "37d",
	} {
		if got := ui.Age(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	if a, b := ui.Count(1, "image"), ui.Count(0, "image"); a != "1 image" || b != "0 images" {
		t.Errorf("got %q and %q", a, b)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                              "plain",
		"a\tb":                               "a    b",
		"10%\r50%\r100%\r\n":                 "100%",
		"\x1b[1;31mred\x1b[0m":               "red",
		"\x1b]0;title\x07text":               "text",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;": "link",
		"\x1bMup \x1b[2J\x1b[?25lgone":       "up gone",
		"bell\a \x9b31m null\x00":            "bell 31m null",
		"\u202eevil":                         "evil",
		"a\xffb":                             "ab",
	} {
		if got := ui.Clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "\x1b[31mabc\x1b[0m": 3, "é": 1, "e\u0301": 1, "日本": 4, "✓ ok": 4} {
		if got := ui.Width(s); got != want {
			t.Errorf("%q: got %d, want %d", s, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		p    ui.Paint
		want string
	}{
		{false, "NAME   VERDICT\nweb    passed\n日本   failed\n"},
		{true, "\x1b[2mNAME   VERDICT\x1b[0m\nweb    passed\n日本   \x1b[31mfailed\x1b[0m\n"},
	} {
		table := ui.NewTable("NAME", "VERDICT")
		table.Row("web", "passed")
		table.Row("日本", c.p.Bad("failed"))
		var b strings.Builder
		if err := table.Write(&b, c.p); err != nil || b.String() != c.want {
			t.Errorf("got %q, %v", b.String(), err)
		}
	}
	var b strings.Builder
	table := ui.NewTable()
	table.Row("disk", "sha256:1")
	table.Row("packages", "")
	if err := table.Write(&b, true); err != nil || b.String() != "disk       sha256:1\npackages\n" {
		t.Errorf("without a heading: got %q, %v", b.String(), err)
	}
}
