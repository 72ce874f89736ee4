package main

import (
	"errors"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// life is what is known of the process that drives a promotion.
type life struct {
	quiet time.Duration // since its last sign of life, which it gives about once a minute
	gone  bool          // it was on this host, and is not there any more
	dead  bool          // gone, or quiet for too long
}

// lifeOf says whether the driver of a promotion is alive. Of a process on another host the time of its last sign of life tells alone.
func lifeOf(a promote.Active, now time.Time) life {
	l := life{quiet: max(now.Sub(a.Seen), 0), gone: gone(a.Driver)}
	l.dead = l.gone || l.quiet > promote.Silence
	return l
}

// text says it for people, with what to type where it is dead.
func (l life) text(p ui.Paint, place string) string {
	todo := ": iibake promote --resume " + place + " takes over"
	switch {
	case l.gone:
		return p.Bad("its process on this host is gone" + todo)
	case l.dead:
		return p.Bad("nothing was heard of it for " + ui.Took(l.quiet) + todo)
	}
	return "last sign of life " + ago(l.quiet)
}

// gone reports whether a driver, as [driver] names it, was a process of this host that is not there any more.
func gone(driver string) bool {
	host, pid, ok := processOfDriver(driver)
	if !ok {
		return false
	}
	here, err := os.Hostname()
	return err == nil && here == host && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// processOfDriver takes the name of a driver apart.
func processOfDriver(driver string) (host string, pid int, ok bool) {
	m := regexp.MustCompile(` on (\S+), process ([1-9]\d*), \S+$`).FindStringSubmatch(driver)
	if m == nil {
		return "", 0, false
	}
	pid, err := strconv.Atoi(m[2])
	return m[1], pid, err == nil
}
