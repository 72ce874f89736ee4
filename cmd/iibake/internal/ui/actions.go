package ui

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/iibake/iibake/bake"
)

// Actions is what GitHub Actions tells a job about itself. Workflow commands are described at
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
type Actions struct {
	Workspace string // where the repository is checked out: annotations name files relative to it
	Project   string // folder that the positions of events are relative to
	Output    string // file that takes the outputs of the job's step
	Summary   string // file that takes the summary of the job, in Markdown
}

// NewActions returns what the environment says about GitHub Actions, or nil outside it.
func NewActions(getenv func(string) string) *Actions {
	if getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	return &Actions{
		Workspace: getenv("GITHUB_WORKSPACE"),
		Output:    getenv("GITHUB_OUTPUT"),
		Summary:   getenv("GITHUB_STEP_SUMMARY"),
	}
}

// Annotate writes an annotation: level is error, warning or notice, and pos may be nil.
func (a Actions) Annotate(w io.Writer, level string, pos *bake.Position, text string) {
	var props []string
	if pos != nil && pos.File != "" {
		props = append(props, "file="+escapeProperty(a.file(pos.File)))
		if pos.Line > 0 {
			props = append(props, fmt.Sprintf("line=%d", pos.Line), fmt.Sprintf("col=%d", pos.Column))
		}
	}
	_, _ = fmt.Fprintf(w, "::%s::%s\n", joinNonEmpty(" ", level, strings.Join(props, ",")), escapeData(text))
}

func (a Actions) file(name string) string {
	if rel, err := filepath.Rel(a.Workspace, filepath.Join(a.Project, name)); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return name
}

// SetOutputs appends outputs of the job's step, given as name, value, name, value.
func (a Actions) SetOutputs(pairs ...string) error {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		value := strings.NewReplacer("\n", " ", "\r", " ").Replace(pairs[i+1])
		fmt.Fprintf(&b, "%s=%s\n", pairs[i], value)
	}
	return appendFile(a.Output, b.String())
}

// AddSummary appends Markdown to the summary of the job.
func (a Actions) AddSummary(markdown string) error { return appendFile(a.Summary, markdown) }

func appendFile(name, text string) error {
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// keptLogs is how many lines of one task's output a group holds.
const keptLogs = 5000

// grouped decorates a reporter: the output of a task becomes one group when the task has ended, since groups of images that
// bake side by side cannot be nested, and what fails is annotated on its line of the template.
type grouped struct {
	mu      sync.Mutex
	w       io.Writer
	next    Reporter
	actions Actions
	logs    map[taskID][]string
}

func (r *grouped) Close() { r.next.Close() }

func (r *grouped) Report(e bake.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := idOf(e)
	switch e.Kind {
	case bake.EventLog:
		r.logs[id] = tail(r.logs[id], harmless(Clean(e.Text)), keptLogs)
		return
	case bake.EventDone, bake.EventSkip, bake.EventStop:
		r.flush(id, true)
	case bake.EventFail:
		r.flush(id, false)
		r.actions.Annotate(r.w, "error", e.Pos, r.title(e)+": "+Clean(firstLine(e.Text)))
	case bake.EventWarn:
		r.actions.Annotate(r.w, "warning", e.Pos, r.title(e)+": "+Clean(e.Text))
		return
	case bake.EventStart, bake.EventProgress, bake.EventNote:
	}
	r.next.Report(e)
}

func (r *grouped) title(e bake.Event) string { return joinNonEmpty(": ", e.Image, Clean(e.Task)) }

// flush writes the output of a task, folded where nobody needs to see it.
func (r *grouped) flush(id taskID, fold bool) {
	logs := last(r.logs[id], keptLogs)
	delete(r.logs, id)
	if len(logs) == 0 {
		return
	}
	text := "| " + strings.Join(logs, "\n| ") + "\n"
	if fold {
		title := harmless(joinNonEmpty(": ", id.image, Clean(id.task)))
		text = "::group::" + title + "\n" + text + "::endgroup::\n"
	}
	_, _ = io.WriteString(r.w, text)
}

// harmless keeps the output of a program from being read as a command of the job: those of the first kind begin a line,
// which the bar before each line prevents, and those of the second kind stand anywhere.
func harmless(line string) string { return strings.ReplaceAll(line, "##[", "## [") }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
