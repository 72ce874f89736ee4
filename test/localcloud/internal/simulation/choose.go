package simulation

import (
	"strconv"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/rules"
)

// usual is how instances behave when nothing is said, in spans that ParseSpan reads.
//
// Recorded from EC2 (t3.nano, Amazon Linux 2023): running 3.9 s after RunInstances, console text after 38 s, termination within 21 to 42 s. That
// status checks run every minute is documented; that the second one passes, and how long a stop takes, is inferred.
func usual() Behaviour {
	span := func(s clock.Span) *clock.Span { return &s }
	return Behaviour{
		Boot:      span(clock.For(4 * time.Second)),
		Healthy:   span(clock.For(30 * time.Second)),
		Status:    span(clock.For(120 * time.Second)),
		SickAfter: span(clock.Never()),
		DiesAfter: span(clock.Never()),
		Stop:      span(clock.For(15 * time.Second)),
		Terminate: span(clock.Between(21*time.Second, 42*time.Second)),
	}
}

// chooser decides how each instance behaves. It is used under the driver's lock.
type chooser struct {
	scenario *Scenario
	usual    Behaviour
	base     Behaviour                 // of the scenario's default over the usual
	turns    map[string]*rules.Chooser // by rule, account and region
	starts   map[string]int            // by group or image
}

func newChooser(s *Scenario) *chooser {
	if s == nil {
		s = &Scenario{}
	}
	return &chooser{scenario: s, usual: usual(), base: s.Default.over(usual()), turns: map[string]*rules.Chooser{}, starts: map[string]int{}}
}

// script returns the behaviour of an instance that starts, and its random numbers: those of the nth start of its group, or of its image in its
// account and region, so that what other groups do at the same time does not change them.
func (c *chooser) script(s *compute.Spec) (Behaviour, func() float64, error) {
	kin := s.Region + "/" + s.Account + "/" + kinOf(s)
	c.starts[kin]++
	nth := c.starts[kin]
	b := c.base
	for i := range c.scenario.Rules {
		rule := &c.scenario.Rules[i]
		if rule.Match.matches(s) && c.turn(i, s).Next() {
			b = rule.Do.over(b)
		}
	}
	own, every, err := Tags(s.Tags)
	if nth%every == 0 {
		b = own.over(b)
	}
	return b, clock.Random(c.scenario.Seed, kin, nth), err
}

func kinOf(s *compute.Spec) string {
	if group := s.Tags[groupTag]; group != "" {
		return "group/" + group
	}
	return "image/" + s.Metadata.ImageID
}

// turn returns the memory of a rule for an account and a region.
func (c *chooser) turn(rule int, s *compute.Spec) *rules.Chooser {
	key := strconv.Itoa(rule) + "/" + s.Account + "/" + s.Region
	t := c.turns[key]
	if t == nil {
		t = &rules.Chooser{Odds: c.scenario.Rules[rule].Match.odds(), Seed: c.scenario.Seed, Name: key}
		c.turns[key] = t
	}
	return t
}
