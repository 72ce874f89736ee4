package rules

import (
	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// Odds chooses among the things that match a rule. What is zero does not limit; what is given must all hold.
type Odds struct {
	Nth         int     `json:"nth,omitempty" yaml:"nth"`                 // the nth that matches, counted from 1, and no other
	Every       int     `json:"every,omitempty" yaml:"every"`             // every so manyth: one in K
	After       int     `json:"after,omitempty" yaml:"after"`             // not the first so many
	Probability float64 `json:"probability,omitempty" yaml:"probability"` // of each, above 0 and at most 1
	Times       int     `json:"times,omitempty" yaml:"times"`             // at most so many in all
}

// Check is for Decode.
func (o Odds) Check(fail func(key, text string)) {
	for _, limit := range []struct {
		key string
		n   int
	}{{"nth", o.Nth}, {"every", o.Every}, {"after", o.After}, {"times", o.Times}} {
		if limit.n < 0 {
			fail(limit.key, limit.key+" is a number of times, from 1 on")
		}
	}
	if !(o.Probability >= 0 && o.Probability <= 1) { // not a number is wrong, too
		fail("probability", "probability lies above 0 and at most at 1")
	}
}

// Chooser is a rule's memory of what matched it. It is not safe for concurrent use.
type Chooser struct {
	Odds    Odds
	Seed    uint64
	Name    string // of the rule, for its chances
	Matched int
	Chosen  int
}

// Next counts a thing that matches, and says whether it is chosen. The nth thing that matches has the same chance in every run.
func (c *Chooser) Next() bool {
	c.Matched++
	n, o := c.Matched, c.Odds
	switch {
	case o.Nth > 0 && n != o.Nth,
		o.Every > 0 && n%o.Every != 0,
		o.After > 0 && n <= o.After,
		o.Times > 0 && c.Chosen >= o.Times,
		o.Probability > 0 && clock.Random(c.Seed, c.Name, n)() >= o.Probability:
		return false
	}
	c.Chosen++
	return true
}

// Match reports whether text is what a pattern says, in which * stands for anything and ? for one byte. The empty pattern matches
// everything.
func Match(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	// star is where the last * stood, and mark up to where it reaches.
	p, star, mark := 0, -1, 0
	for i := 0; i < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[i]):
			p, i = p+1, i+1
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
