package ui_test

import (
	"regexp"
	"strconv"
	"strings"
)

// screen is as much of a terminal as the rules of our output need: it shows what a person would see in the end, and what
// scrolled by.
type screen struct {
	lines []string
	row   int
}

var sequence = regexp.MustCompile(`^\x1b\[([0-9;?]*)([A-Za-z])`)

func (s *screen) Write(p []byte) (int, error) {
	for text := string(p); text != ""; {
		if m := sequence.FindStringSubmatch(text); m != nil {
			s.control(m[1], m[2])
			text = text[len(m[0]):]
			continue
		}
		switch text[0] {
		case '\n':
			s.row++
		case '\r':
		default:
			end := strings.IndexAny(text, "\x1b\n\r")
			if end < 0 {
				end = len(text)
			}
			s.at(s.row)
			s.lines[s.row] += text[:end]
			text = text[end:]
			continue
		}
		text = text[1:]
	}
	return len(p), nil
}

func (s *screen) at(row int) {
	for len(s.lines) <= row {
		s.lines = append(s.lines, "")
	}
}

func (s *screen) control(arg, kind string) {
	switch kind {
	case "A":
		n, _ := strconv.Atoi(arg)
		s.row -= n
		for i := s.row; i < len(s.lines); i++ {
			s.lines[i] = "" // what follows overwrites every line and erases its rest
		}
	case "J":
		s.at(s.row)
		s.lines = s.lines[:s.row]
	}
}

// String returns what is on the screen.
func (s *screen) String() string { return strings.Join(s.lines, "\n") + "\n" }
