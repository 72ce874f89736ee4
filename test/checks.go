package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
)

// check makes all checks of one boot: those inside the machine, and from the moment on that the system is up also those from
// outside.
func (t *trial) check(ctx context.Context, client *ssh.Client, boot string, first bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.tests.Timeout))
	defer cancel()
	up := make(chan struct{})
	settled := sync.OnceFunc(func() { close(up) })
	var probes sync.WaitGroup
	for _, p := range t.probes() {
		probes.Go(func() {
			<-up
			t.add(boot, p.run(ctx, t.task(boot+": "+p.name)))
		})
	}
	w := &watch{trial: t, boot: boot, settled: settled}
	t.inGuest(ctx, client, w, guestRequest{
		Goss: t.tests.Goss, Files: t.files, Allowed: t.tests.AllowedFailedUnits, First: first, Limit: time.Duration(t.tests.Timeout),
	})
	settled()
	probes.Wait()
}

// inGuest runs this program in the machine, from the seed disk and as root, and records what it finds.
func (t *trial) inGuest(ctx context.Context, client *ssh.Client, w *watch, req guestRequest) {
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	err := w.session(client, req)
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("did not end within %s", t.tests.Timeout)
	case err != nil:
		err = fmt.Errorf("ended early: %w", err)
	}
	w.close(err)
	if t.tests.Goss == "" {
		t.add(w.boot, Result{Name: "goss", Status: Skip, Detail: "the template names no goss file"})
	}
}

// guestCommand mounts the seed disk and runs the program there. Nothing is copied: /tmp may be small, and may forbid to
// execute.
const guestCommand = `sudo -n sh -c 'mkdir -p /run/iibake && mount -o ro,exec ` + machine.SeedDevice +
	` /run/iibake && exec /run/iibake/` + guestProgram + " " + GuestVerb + "'"

// watch follows the checks in a machine while they run.
type watch struct {
	*trial
	boot    string
	settled func() // called when the system is up, or will not be
	name    string // check that runs
	task    *bake.Task
	since   time.Time
	flaws   int // of the check that runs
	count   int
}

func (w *watch) session(client *ssh.Client, req guestRequest) error {
	input, err := json.Marshal(req)
	if err != nil {
		return err
	}
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	var stderr tail
	session.Stdin, session.Stderr = bytes.NewReader(input), &stderr
	out, err := session.StdoutPipe()
	if err != nil {
		return err
	}
	if err := session.Start(guestCommand); err != nil {
		return err
	}
	err = w.events(out)
	if wait := session.Wait(); wait != nil && !errors.Is(wait, io.EOF) { // EOF: it did not read all of its input
		err = errors.Join(err, fmt.Errorf("%w%s", wait, stderr.after(": ")))
	}
	return err
}

const longestEvent = 16 << 20 // bytes of a line; a failed check may quote a file

// events reads what the program in the machine says until it has no more to say.
func (w *watch) events(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, longestEvent)
	for lines.Scan() {
		var e guestEvent
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // a library that prints to standard output
		}
		switch {
		case e.Begin != "":
			w.begin(e.Begin)
		case e.Result != nil:
			w.count++
			if e.Result.Status == Fail {
				w.flaws++
			}
			w.add(w.boot, *e.Result)
		case e.End != "":
			w.end()
		}
	}
	return lines.Err()
}

func (w *watch) begin(name string) {
	w.name, w.since, w.flaws, w.count = name, time.Now(), 0, 0
	w.task = w.trial.task(w.boot + ": " + name)
}

func (w *watch) end() {
	var err error
	if w.flaws > 0 {
		err = fmt.Errorf("%d of %d failed", w.flaws, w.count)
	}
	_ = w.task.End(err)
	if w.name == "systemd" {
		w.settled()
	}
	w.name = ""
}

// close names the check that was running when the conversation ended before its time.
func (w *watch) close(err error) {
	if err == nil {
		return
	}
	if w.name == "" {
		w.begin("checks inside the machine")
	}
	w.add(w.boot, Result{Name: w.name, Status: Fail, Detail: w.name + " " + err.Error(), Took: bake.Duration(time.Since(w.since))})
	_ = w.task.End(err)
}
