package main

import (
	"bytes"
	"strings"
	"testing"
)

// A line that begins with a place in a file is left to the editors that read it, all others say who speaks.
func TestErrorLines(t *testing.T) {
	for line, bare := range map[string]bool{
		"images/web.yaml:3:5: unknown key": true, "my images/web server.yaml:3:5: unknown key": true, "iibake.yml:1:1: x": true,
		"bake web at 10:30:00: it failed": false, "web: it failed": false, "dial tcp 127.0.0.1:80: refused": false,
	} {
		var out bytes.Buffer
		(&console{streams: streams{err: &out}}).writeErrors(false, line)
		if got := !strings.HasPrefix(out.String(), "iibake:"); got != bare || !strings.HasSuffix(out.String(), line+"\n") {
			t.Errorf("%q was written as %q", line, out.String())
		}
	}
}
