package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/test"
)

// newJudge returns what boots and judges the images of r.
func newJudge(store *disk.Store) judge {
	return test.Judge{Store: store, Scratch: scratchFolder}.Judge
}

// notPassed says what an image did not pass, one line for each check.
func notPassed(v test.Verdict) error {
	failures := v.Failures()
	var s strings.Builder
	fmt.Fprintf(&s, "%s did not pass: %d of %s failed", v.Image, len(failures), ui.Count(len(v.Results), "check"))
	for _, r := range failures {
		fmt.Fprintf(&s, "\n  %s: %s", r.Boot, r.Name)
		for line := range strings.Lines(r.Detail) {
			fmt.Fprintf(&s, "\n    %s", strings.TrimSpace(line))
		}
	}
	if len(v.Console) > 0 {
		fmt.Fprintf(&s, "\n  the serial console ended with:\n    %s", strings.Join(v.Console[max(0, len(v.Console)-maxConsole):], "\n    "))
	}
	return errors.New(s.String())
}

// maxConsole is how many lines of a console are shown. The record has more of them.
const maxConsole = 20

// writeJUnit writes the verdicts of this build to a file, or nothing where none was named.
func (b *building) writeJUnit(name string) error {
	var verdicts []test.Verdict
	for _, r := range b.results {
		if r.verdict != nil {
			verdicts = append(verdicts, *r.verdict)
		}
	}
	return writeJUnit(name, verdicts)
}

// writeJUnit writes verdicts to one file, or does nothing where no file was named.
func writeJUnit(name string, verdicts []test.Verdict) error {
	if name == "" {
		return nil
	}
	body, err := test.JUnit(verdicts...)
	if err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o644)
}

func jsonLine(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
