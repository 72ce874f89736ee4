package promote

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test"
)

// age asks how long img was in the channel before. What was there and was rolled back out of it has proven the contrary: its time counts
// from when it came in again.
func (g Gates) age(ctx context.Context, img bake.Image, rule Rule, now time.Time) (Gate, error) {
	history, err := g.channels.History(ctx, img.Name, rule.After)
	if err != nil {
		return Gate{}, err
	}
	s := stayed(history, img.Ref, now)
	gate := Gate{Name: "age", Remedy: fmt.Sprintf("promote it to %s, and leave it there", rule.After)}
	switch age := time.Duration(rule.Age); {
	case s.out:
		gate.Detail = fmt.Sprintf("it was rolled back out of %s at %s", rule.After, utcText(s.at))
	case !s.was:
		gate.Detail = fmt.Sprintf("it was never in %s", rule.After)
	case s.longest >= age:
		return Gate{Name: "age", Open: true, Detail: fmt.Sprintf("it was in %s for %s", rule.After, roundText(s.longest))}, nil
	case s.there:
		gate.Opens = s.at.Add(age)
		gate.Detail = fmt.Sprintf("it is in %s for %s, and must be there for %s: until %s", rule.After, roundText(s.longest), rule.Age, utcText(gate.Opens))
		gate.Remedy = "wait until then"
	default:
		gate.Detail = fmt.Sprintf("it was in %s for %s, and must be there for %s", rule.After, roundText(s.longest), rule.Age)
	}
	return gate, nil
}

// stay is how an image was in a channel.
type stay struct {
	was, there, out bool          // ever; now; rolled back out of it, and not in it since
	longest         time.Duration // without a break, since it was last rolled back
	at              time.Time     // of the last change
}

func stayed(history []Past, r bake.Ref, now time.Time) stay {
	var s stay
	for _, past := range history {
		if !past.Moved() {
			continue
		}
		at := past.Outcome.At
		switch in := past.To == r; {
		case in && !s.there:
			s.was, s.there, s.out, s.at = true, true, false, at
		case !in && s.there && past.Back:
			s = stay{was: true, out: true, at: at}
		case !in && s.there:
			s.longest, s.there, s.at = max(s.longest, at.Sub(s.at)), false, at
		}
	}
	if s.there {
		s.longest = max(s.longest, now.Sub(s.at))
	}
	return s
}

// approved asks whether enough people agreed.
func (g Gates) approved(ctx context.Context, img bake.Image, rule Rule) (Gate, error) {
	all, err := g.approvals.Of(ctx, img, rule.Channel)
	if err != nil {
		return Gate{}, err
	}
	var who, authors []string
	for _, a := range all {
		if rule.NotAuthor && a.ByAuthor(img) {
			authors = append(authors, a.By)
		} else {
			who = append(who, a.By)
		}
	}
	detail := fmt.Sprintf("%d of %d approvals", len(who), rule.Approvals)
	if len(who) > 0 {
		detail += ", by " + strings.Join(who, ", ")
	}
	if len(authors) > 0 {
		detail += "; that of " + strings.Join(authors, ", ") + ", who made it, does not count"
	}
	gate := Gate{Name: "approvals", Open: len(who) >= rule.Approvals, Detail: detail}
	if !gate.Open {
		gate.Remedy = "have somebody approve it for " + string(rule.Channel)
		if rule.NotAuthor {
			gate.Remedy = "have somebody else than its author approve it for " + string(rule.Channel)
		}
	}
	return gate, nil
}

func (v Channels) verdict(ctx context.Context, r bake.Ref) (test.Verdict, error) {
	return test.NewVerdicts(v.c).Latest(ctx, r)
}

func roundText(d time.Duration) bake.Duration {
	if d >= time.Minute {
		return bake.Duration(d.Truncate(time.Minute))
	}
	return bake.Duration(d.Truncate(time.Second))
}
