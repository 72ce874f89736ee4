package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// drift tells what is wrong, with what to type, and then what is worth knowing.
func (s statusText) drift(con *console) error {
	for _, part := range []struct {
		title  string
		notice bool
	}{{"to mend", false}, {"worth knowing", true}} {
		var text strings.Builder
		for _, about := range gathered(s.Drift, part.notice) {
			text.WriteString(s.about(about))
		}
		if text.Len() == 0 {
			continue
		}
		if err := con.printf("\n%s:\n%s", part.title, &text); err != nil {
			return err
		}
	}
	return nil
}

// gathered puts together what is said of the same fleet, channel or target: one command may mend it all.
func gathered(all []promote.Drift, notice bool) [][]promote.Drift {
	at := map[string]int{}
	var lists [][]promote.Drift
	for _, d := range all {
		if d.Notice != notice {
			continue
		}
		name := subject(d)
		i, ok := at[name]
		if !ok {
			i, lists = len(lists), append(lists, nil)
			at[name] = i
		}
		lists[i] = append(lists[i], d)
	}
	return lists
}

// subject names what a drift is of.
func subject(d promote.Drift) string {
	switch {
	case d.Fleet != "":
		return d.Fleet
	case d.Channel != "":
		return fmt.Sprintf("%s@%s", d.Image, d.Channel)
	}
	return d.Target
}

func (s statusText) about(all []promote.Drift) string {
	var text strings.Builder
	var told []string
	for i, d := range all {
		fmt.Fprintf(&text, "  %s: %s\n", s.p.Bold(subject(d)), ui.Clean(d.What))
		if i+1 < len(all) && slices.Equal(d.Mend, all[i+1].Mend) && len(d.Mend) > 0 {
			continue // the same helps against the next one
		}
		if len(d.Mend) == 0 || d.Kind == promote.DriftRevoked && d.Fleet == "" && d.Channel == promote.Candidate { // a command alone may not help
			text.WriteString("    " + d.Remedy + "\n")
		}
		for _, command := range d.Mend {
			if !slices.Contains(told, command) {
				text.WriteString("    " + s.p.Name(command) + "\n")
				told = append(told, command)
			}
		}
	}
	return text.String()
}
