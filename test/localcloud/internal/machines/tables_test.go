package machines_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines"
)

func TestExpand(t *testing.T) {
	for want, ranges := range map[string][]compute.Port{
		"[]":              nil,
		"[22 80]":         {{From: 80, To: 80}, {From: 22, To: 22}, {From: 80, To: 80}},
		"[8000 8001]":     {{From: 8000, To: 8001}},
		"[1 2]":           {{From: -1, To: 2}},
		"[65534 65535]":   {{From: 65534, To: 70000}},
		"[9090 9092 9093": {{From: 9043, To: 9199}, {From: 9093, To: 9093}},
	} {
		if got := fmt.Sprint(machines.Expand(ranges)); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %s, want %s", ranges, got, want)
		}
	}
	if got := machines.Expand([]compute.Port{{From: 0, To: 65535}}, 4242); !slices.Contains(got, 22) || !slices.Contains(got, 4242) || slices.Contains(got, 4243) {
		t.Error(got)
	}
}

// Whatever is open, what answers is part of it, in order, and not too much.
func TestExpandByChance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ranges := rapid.SliceOf(rapid.Custom(func(t *rapid.T) compute.Port {
			return compute.Port{From: rapid.IntRange(-1, 65536).Draw(t, "from"), To: rapid.IntRange(-1, 65536).Draw(t, "to")}
		})).Draw(t, "ranges")
		got := machines.Expand(ranges)
		if !slices.IsSorted(got) || len(got) > 1024 || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatal(got)
		}
		for _, port := range got {
			if port < 1 || port > 65535 || !slices.ContainsFunc(ranges, func(r compute.Port) bool { return r.From <= port && port <= r.To }) {
				t.Fatal(port)
			}
		}
	})
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		codes  string
		status int
		want   bool
	}{
		{"", 200, true},
		{"", 201, false},
		{"200-299", 204, true},
		{"200-299", 300, false},
		{"200,301", 301, true},
		{"200, 301", 301, true},
		{"x,200", 200, true},
		{"-", 0, false},
	} {
		if machines.Matches(c.codes, c.status) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func TestExplain(t *testing.T) {
	for want, err := range map[string]error{
		"ip_unprivileged_port_start=22": unix.EACCES, "ListenAddress": unix.EADDRINUSE, unix.EINVAL.Error(): unix.EINVAL,
	} {
		if got := machines.Explain(err, 22); !strings.Contains(got.Error(), want) {
			t.Error(got)
		}
	}
	if err := machines.PrivilegedPorts(t.Context()); err != nil && !strings.Contains(err.Error(), "1024") && !strings.Contains(err.Error(), "ListenAddress") {
		t.Error(err)
	}
}

func TestIdentity(t *testing.T) {
	if a, b := machines.Identity("i-1"), machines.Identity("i-2"); a == b || !regexp.MustCompile(`^ec2[0-9a-f]{5}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(a) {
		t.Error(a, b)
	}
}
