package promote_test

import (
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// Who comes in the way of a promotion is told what it does: fleets that go alone do not move the channel, and a way back is no move on.
func TestBusyErrorSaysWhatIsDone(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]promote.Promotion{
		"ada moves it to web:2":                        {To: web(2)},
		"ada moves some fleets to web:2":               {To: web(2), Only: true},
		"ada takes it back to web:1":                   {To: web(1), Back: true},
		"ada takes some fleets back to web:1":          {To: web(1), Back: true, Only: true},
		"ada takes it back to what was there before, ": {To: bake.Ref{Name: "web"}, Back: true},
	} {
		p.By, p.Channel, p.Number = "ada", production, 7
		got := (&promote.BusyError{Promotion: p, Active: promote.Active{Driver: "process 1"}}).Error()
		if !strings.HasPrefix(got, "web@production#7: "+want) || !strings.Contains(got, ", driven by process 1, last seen at ") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
