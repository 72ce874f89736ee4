package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/iibake/iibake/promote"
)

func TestLife(t *testing.T) {
	ended := exec.CommandContext(t.Context(), "true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	named := func(host string, pid int) string {
		return fmt.Sprintf("Ada Lovelace on tour on %s, process %d, ABCDEF", host, pid)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		driver     string
		quiet      time.Duration
		gone, dead bool
	}{
		"this process":          {driver: driver()},
		"this process, quiet":   {driver: driver(), quiet: promote.Silence + time.Second, dead: true},
		"ended here":            {driver: named(here, ended.Process.Pid), gone: true, dead: true},
		"same number elsewhere": {driver: named("another-"+here, ended.Process.Pid)},
		"elsewhere, quiet":      {driver: named("another-"+here, 1), quiet: time.Hour, dead: true},
		"another name":          {driver: "one", quiet: -time.Minute},
		"no process":            {driver: named(here, 0)},
	} {
		l := lifeOf(promote.Active{Driver: c.driver, Seen: now.Add(-c.quiet)}, now)
		if l.gone != c.gone || l.dead != c.dead || l.quiet < 0 {
			t.Errorf("%s: got %+v", name, l)
		}
	}
}
