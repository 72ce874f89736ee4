package promote

import "time"

// spell is how long something has been amiss, as far as somebody looked. Between two looks no more than a given time counts: a process that
// was stopped in between, or whose clock was set, saw nothing of it.
type spell struct {
	seen   time.Time // when it was last seen; zero: all is well
	lasted time.Duration
	text   string // of its first error: with each try the words of AWS differ in the name of the request, which is no news
}

// say returns what to tell people of an error for which it is amiss.
func (s *spell) say(err error) string {
	if s.text == "" {
		s.text = brief(err.Error())
	}
	return s.text
}

// on is told that it is amiss now, and returns for how long it has been.
func (s *spell) on(now time.Time, most time.Duration) time.Duration {
	if !s.seen.IsZero() {
		s.lasted += min(max(now.Sub(s.seen), 0), most)
	}
	s.seen = now
	return s.lasted
}

// over is told that all is well.
func (s *spell) over() { *s = spell{} }
