package sandbox

import (
	"bytes"
	"strings"
	"sync"
)

const (
	tailLines = 30      // kept for errors
	maxLine   = 4 << 10 // bytes; a longer line is cut into several
)

// tail hands on lines and remembers the last ones.
type tail struct {
	mu    sync.Mutex
	log   func(string)
	part  []byte
	lines []string
}

// Write takes output of a program. A carriage return ends a line too: progress bars use it.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part = append(t.part, b...)
	for {
		i := bytes.IndexAny(t.part, "\r\n")
		if i < 0 && len(t.part) < maxLine {
			return len(b), nil
		}
		if i < 0 {
			n := cut(t.part)
			t.line(t.part[:n])
			t.part = t.part[n:]
			continue
		}
		t.line(t.part[:i])
		t.part = t.part[i+1:]
	}
}

// cut returns where to cut a line that is too long: behind a word, if there are any, for half of a secret would not be known as one.
func cut(part []byte) int {
	if i := bytes.LastIndexAny(part[:maxLine], " \t"); i > maxLine/2 {
		return i + 1
	}
	return maxLine
}

// Flush ends a last line that has no end of its own, and returns the last lines.
func (t *tail) Flush() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(t.part)
	t.part = nil
	return append([]string(nil), t.lines...)
}

func (t *tail) line(b []byte) {
	s := strings.ToValidUTF8(strings.TrimRight(string(b), " \t"), "?")
	if s == "" {
		return
	}
	if t.lines = append(t.lines, s); len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
	if t.log != nil {
		t.log(s)
	}
}

// reset forgets everything and logs to log from now on.
func (t *tail) reset(log func(string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log, t.part, t.lines = log, nil, nil
}
