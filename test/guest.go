package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/iibake/iibake/bake"
)

// GuestVerb is the first argument of this binary where it is to call [GuestMain].
const GuestVerb = "guest-check"

// guestRequest is what the guest's part of a judgement is told, on its standard input.
type guestRequest struct {
	Goss    string            `json:"goss,omitempty"`  // name of the goss file among Files; empty for none
	Files   map[string][]byte `json:"files,omitempty"` // the goss file and those it includes, by their paths in the repository
	Allowed []string          `json:"allowed,omitempty"`
	First   bool              `json:"first,omitempty"` // the first boot of the machine: judge hygiene too
	Limit   time.Duration     `json:"limit"`           // for all checks together
}

// guestEvent is a line that it answers with: first that a check begins, later what became of it.
type guestEvent struct {
	Begin  string  `json:"begin,omitempty"`
	End    string  `json:"end,omitempty"`
	Result *Result `json:"result,omitempty"`
}

// guest is the part of a judgement that runs inside the machine.
type guest struct {
	out *json.Encoder
	err error // of writing; the host is gone
}

// GuestMain judges the machine that it runs on, as root. It reads one request from in and writes results to out as they
// come; the host end of the conversation is [Judge]. Checks that fail are no error.
func GuestMain(ctx context.Context, in io.Reader, out io.Writer) error {
	var req guestRequest
	if err := json.NewDecoder(in).Decode(&req); err != nil {
		return fmt.Errorf("%s is for machines under test; iibake starts it there: %w", GuestVerb, err)
	}
	g := &guest{out: json.NewEncoder(out)}
	g.check("systemd", func() []Result { return systemd(ctx, req.Allowed, req.Limit/2) })
	if req.First {
		g.check("hygiene", func() []Result { return hygiene("/") })
	}
	if req.Goss != "" {
		g.check("goss", func() []Result { return runGoss(ctx, req) })
	}
	return g.err
}

// check reports the results of one check, which may be many.
func (g *guest) check(name string, run func() []Result) {
	g.say(guestEvent{Begin: name})
	start := time.Now()
	results := run()
	for i := range results {
		if len(results) == 1 {
			results[i].Took = bake.Duration(time.Since(start))
		}
		g.say(guestEvent{Result: &results[i]})
	}
	g.say(guestEvent{End: name})
}

func (g *guest) say(e guestEvent) { g.err = errors.Join(g.err, g.out.Encode(e)) }

// unpack writes the files of a request below a new folder.
func (req guestRequest) unpack() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "iibake-goss-"); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return dir, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for name, body := range req.Files {
		name = filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return dir, err
		}
		if err := root.WriteFile(name, body, 0o600); err != nil {
			return dir, err
		}
	}
	return dir, nil
}
