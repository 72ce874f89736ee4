package test

import (
	"strings"
	"sync"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
)

// consoleLog reports the lines of a serial console as output of the task that is waiting for the machine.
type consoleLog struct {
	mu   sync.Mutex
	task *bake.Task // nil for none
	line string     // not yet complete
}

// log makes task the one to report to; nil switches reporting off.
func (c *consoleLog) log(task *bake.Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.task = task
}

const longestLine = 4 << 10

// Write takes a piece of the console.
func (c *consoleLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line += string(p)
	for {
		line, rest, ok := strings.Cut(c.line, "\n")
		if !ok && len(c.line) < longestLine {
			return len(p), nil
		}
		c.line = rest
		if line = strings.TrimSpace(machine.Plain(line)); c.task != nil && line != "" {
			c.task.Log(line)
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailKept = 2 << 10 // bytes

// Write takes a piece of output.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-tailKept):]
	return len(p), nil
}

// after returns the text with a separator before it, or "" where there is none.
func (t *tail) after(separator string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(machine.Plain(string(t.b)))
	if text == "" {
		return ""
	}
	return separator + text
}
