package promote_test

import (
	"testing"
	"time"

	"github.com/iibake/iibake/promote"
)

// A channel holds a version since it came to, however often fleets were brought to it later, and not from before it held another one.
func TestArrival(t *testing.T) {
	t.Parallel()
	past := func(n, version int, result promote.Result, change func(*promote.Promotion)) promote.Past {
		p := promote.Past{Promotion: promote.Promotion{Number: n, To: web(version)}}
		if change != nil {
			change(&p.Promotion)
		}
		if result != "" {
			p.Outcome = &promote.Outcome{Result: result, At: at.Add(time.Duration(n) * time.Hour)}
		}
		return p
	}
	only := func(p *promote.Promotion) { p.Only = true }
	for name, c := range map[string]struct {
		history []promote.Past
		want    int // number; 0 for none
	}{
		"never":             {nil, 0},
		"once":              {[]promote.Past{past(1, 1, promote.Promoted, nil)}, 1},
		"for itself":        {[]promote.Past{past(1, 1, promote.Promoted, nil), past(2, 1, promote.Promoted, nil)}, 1},
		"fleets alone":      {[]promote.Past{past(1, 1, promote.Promoted, only), past(2, 1, promote.Promoted, nil)}, 2},
		"another failed":    {[]promote.Past{past(1, 1, promote.Promoted, nil), past(2, 2, promote.Reverted, nil), past(3, 1, promote.Promoted, nil)}, 1},
		"another under way": {[]promote.Past{past(1, 1, promote.Promoted, nil), past(2, 2, "", nil)}, 1},
		"gone":              {[]promote.Past{past(1, 1, promote.Promoted, nil), past(2, 2, promote.Promoted, nil)}, 0},
		"in again": {[]promote.Past{
			past(1, 1, promote.Promoted, nil), past(2, 2, promote.Promoted, nil), past(3, 1, promote.Promoted, nil), past(4, 1, promote.Promoted, nil),
		}, 3},
	} {
		if have, known := promote.Arrival(c.history, web(1)); have.Number != c.want || known != (c.want > 0) {
			t.Errorf("%s: by #%d, %t: want #%d", name, have.Number, known, c.want)
		}
	}
}

// What status says of a channel is since when it holds its version, whoever brought fleets to it later.
func TestStatusTellsSinceWhen(t *testing.T) {
	w, held := newWatched(t), watchedRef(1)
	_, err := promote.NewChannels(w.catalog).Move(t.Context(), promote.Promotion{Channel: "production", From: &held, To: held, By: "bob", At: watchTime.Add(time.Hour)})
	w.must(err)
	if since := w.look().Channels[0].Since; !since.Equal(watchTime) {
		t.Errorf("since %s", since)
	}
}
