package ui

// Paint colours text, or leaves it as it is where it is false.
type Paint bool

// Bold makes s stand out.
func (p Paint) Bold(s string) string { return p.code("1", s) }

// Dim makes s step back.
func (p Paint) Dim(s string) string { return p.code("2", s) }

// Good is for what went well.
func (p Paint) Good(s string) string { return p.code("32", s) }

// Bad is for what failed.
func (p Paint) Bad(s string) string { return p.code("31", s) }

// Warn is for what somebody should look at.
func (p Paint) Warn(s string) string { return p.code("33", s) }

// Name is for the names of images.
func (p Paint) Name(s string) string { return p.code("36", s) }

func (p Paint) code(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
