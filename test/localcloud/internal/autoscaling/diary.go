package autoscaling

import (
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// place is a group of a region.
type place struct{ region, group string }

// entry is when a group is looked at.
type entry struct {
	timer   clock.Timer
	at      time.Time // of the timer
	asked   bool      // it is looked at once the current Update is over
	looking bool
	again   bool // something happened during a look
}

// diary holds the appointments with the groups: one timer each, and none for a group that waits for nothing.
type diary struct {
	clock clock.Clock

	mu      sync.Mutex
	entries map[place]*entry
}

func newDiary(c clock.Clock) *diary { return &diary{clock: c, entries: map[place]*entry{}} }

// ask returns whether the caller is the one to have the group looked at; otherwise somebody else has been asked already.
func (d *diary) ask(p place) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entries[p]
	if e == nil {
		e = &entry{}
		d.entries[p] = e
	}
	if e.asked || e.looking {
		e.again = e.looking
		return false
	}
	e.asked = true
	return true
}

// begin says that a look begins, which makes all appointments void.
func (d *diary) begin(p place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entries[p]
	if e == nil {
		e = &entry{}
		d.entries[p] = e
	}
	e.asked, e.looking, e.again = false, true, false
	if e.timer != nil && !e.at.After(d.clock.Now()) {
		e.timer.Stop()
		e.timer = nil
	}
}

// seen says that the look has seen all that happened so far. It is called at the end of the look's Update, so that what the look itself did to
// its instances gets the group no second look.
func (d *diary) seen(p place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[p]; e != nil {
		e.again = false
	}
}

// end says that a look is over, and has f called at next, or never where that is zero. What happened to the group since seen gets it looked at again
// at once.
func (d *diary) end(p place, next time.Time, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entries[p]
	if e == nil {
		return
	}
	e.looking = false
	if e.timer != nil {
		if !e.again && e.at.Equal(next) {
			return
		}
		e.timer.Stop()
		e.timer = nil
	}
	now := d.clock.Now()
	if e.again {
		next = now
	}
	if next.IsZero() {
		delete(d.entries, p)
		return
	}
	e.at = next
	e.timer = d.clock.AfterFunc(next.Sub(now), f)
}
