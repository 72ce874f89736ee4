package main

import (
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// Who aborts a rollback is told that nothing is brought back by it: before, when it is done, and by whoever looks.
func TestAbortOfARollback(t *testing.T) {
	for back, want := range map[bool][3]string{
		false: {"end web@staging#7 and bring back the fleets that moved?", "goes back", "is going back"},
		true: {
			"stop the rollback web@staging#7 where it is, with fleets that may be half and half?",
			"stops the rollback where it is, with fleets that may be half and half", "is being stopped",
		},
	} {
		p := promote.Promotion{Channel: "staging", Number: 7, To: bake.Ref{Name: "web", Version: "1"}, Back: back}
		same(t, "question", abortQuestion(p), want[0])
		same(t, "answer", heeding(p, promote.Abort), want[1])
		h := holding{Name: "web", Channel: "staging", UnderWay: &underWay{Active: promote.Active{Wish: promote.Abort}, To: "1", ID: p.ID(), Back: back}}
		if note := h.note(false); !strings.Contains(note, p.ID()+" to 1 "+want[2]+", driven by ") {
			t.Errorf("channels says %s", note)
		}
	}
	same(t, "paused", heeding(promote.Promotion{Back: true}, promote.Pause), "pauses")
	same(t, "resumed", heeding(promote.Promotion{Back: true}, promote.Proceed), "goes on")
	if help := abortCommand(newConsole(streams{})).Description; !strings.Contains(help, "A rollback is stopped where it is") || !strings.Contains(help, "half and half") {
		t.Errorf("the help is silent: %s", help)
	}
}
