package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a terminal: what a person has, and what a program has.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// A question is answered, or interrupted, which does not wait for an answer.
func TestConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		answer string // typed when the question is there; empty: an interrupt
		yes    bool
		code   int
		said   string
	}{
		"yes":         {answer: "y\n", yes: true},
		"long yes":    {answer: " YES \n", yes: true},
		"no":          {answer: "n\n", said: "nothing was done\n"},
		"nothing":     {answer: "\n", said: "nothing was done\n"},
		"end":         {answer: "\x04", said: "\nnothing was done\n"},
		"interrupted": {code: exitInterrupted, said: "\niibake: interrupted\niibake: nothing was done\n"},
	} {
		t.Run(name, func(t *testing.T) {
			person, program := openTerminal(t)
			said, err := io.Pipe()
			con := newConsole(streams{in: program, out: io.Discard, err: err})
			ctx, interrupt := context.WithCancel(t.Context())
			asked := make(chan bool, 1)
			go func() {
				yes, failure := con.confirm(cli.NewContext(nil, flag.NewFlagSet("", 0), &cli.Context{Context: ctx}), "go on?")
				if code := con.fail(ctx, failure); code != c.code {
					t.Errorf("exit code %d, want %d: %v", code, c.code, failure)
				}
				asked <- yes
				_ = err.Close()
			}()
			r := bufio.NewReader(said)
			question, _ := r.ReadString(']')
			if _, err := r.Discard(1); err != nil || question != "go on? [y/N]" {
				t.Errorf("asked %q, %v", question, err)
			}
			if c.answer == "" {
				interrupt()
			} else if _, err := person.WriteString(c.answer); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(r)
			if yes := <-asked; yes != c.yes || string(rest) != c.said {
				t.Errorf("got %t, and %q", yes, rest)
			}
			interrupt()
		})
	}
}
