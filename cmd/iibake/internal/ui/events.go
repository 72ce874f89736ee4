package ui

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/iibake/iibake/bake"
)

// events writes every event, and every change of a fleet, as one line of JSON.
type events struct {
	mu sync.Mutex
	w  io.Writer

	fleets map[string]Fleet // by name, as they were last told
}

func newEvents(w io.Writer) *events { return &events{w: w, fleets: map[string]Fleet{}} }

func (r *events) Report(e bake.Event) {
	line, err := json.Marshal(struct {
		bake.Event
		Took bake.Duration `json:"took,omitempty"` // as every other time in JSON, and not in nanoseconds
	}{e, bake.Duration(e.Took)})
	if err != nil {
		return // an event is texts, numbers and times: none of them can fail
	}
	r.write(line)
}

func (r *events) write(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(append(line, '\n'))
}

func (r *events) Close() {}
