package bake

import (
	"cmp"
	"strings"
)

// compareVersions orders two versions of a package as its package manager does, which the name of the architecture gives
// away: amd64 and all are dpkg's words, x86_64 and noarch are rpm's.
func compareVersions(arch, a, b string) int {
	switch arch {
	case "x86_64", "aarch64", "noarch", "i686":
		return compareRPMVersions(a, b)
	}
	return CompareDebianVersions(a, b)
}

// CompareDebianVersions orders two Debian package versions, [epoch:]upstream[-revision], as dpkg does (deb-version(7)):
// below zero where a is the older one, zero where they are equal, above zero where a is the newer one.
func CompareDebianVersions(a, b string) int {
	epochA, restA := cutEpoch(a)
	epochB, restB := cutEpoch(b)
	upstreamA, revisionA := cutRevision(restA)
	upstreamB, revisionB := cutRevision(restB)
	return cmp.Or(compareNumbers(epochA, epochB), compareDebian(upstreamA, upstreamB), compareDebian(revisionA, revisionB))
}

// cutEpoch returns the number before the first colon, which is zero where there is none, and what follows.
func cutEpoch(v string) (epoch, rest string) {
	if epoch, rest, ok := strings.Cut(v, ":"); ok {
		return epoch, rest
	}
	return "", v
}

// cutRevision cuts at the last dash.
func cutRevision(v string) (upstream, revision string) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// compareDebian compares runs of other characters and runs of digits in turn.
func compareDebian(a, b string) int {
	for a != "" || b != "" {
		var textA, textB, numberA, numberB string
		textA, a = span(a, isNoDigit)
		textB, b = span(b, isNoDigit)
		numberA, a = span(a, isDigit)
		numberB, b = span(b, isDigit)
		if c := cmp.Or(compareDebianText(textA, textB), compareNumbers(numberA, numberB)); c != 0 {
			return c
		}
	}
	return 0
}

func compareDebianText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(debianWeight(a, i), debianWeight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

// debianWeight orders characters: a tilde, the end, letters, everything else.
func debianWeight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case isLetter(s[i]):
		return int(s[i])
	}
	return int(s[i]) + 256
}

// compareRPMVersions orders two versions of rpm, [epoch:]version[-release], as rpmvercmp does.
func compareRPMVersions(a, b string) int {
	epochA, restA := cutEpoch(a)
	epochB, restB := cutEpoch(b)
	versionA, releaseA := cutRevision(restA)
	versionB, releaseB := cutRevision(restB)
	return cmp.Or(compareNumbers(epochA, epochB), compareRPM(versionA, versionB), compareRPM(releaseA, releaseB))
}

// compareRPM compares segments of digits or letters in turn. Everything else only separates them, but for a tilde, which
// sorts before the end, and a caret, which sorts behind the end and before a segment.
func compareRPM(a, b string) int {
	for {
		_, a = span(a, separates)
		_, b = span(b, separates)
		if c := cmp.Compare(rpmWeight(a), rpmWeight(b)); c != 0 || a == "" {
			return c
		}
		if a[0] == '~' || a[0] == '^' {
			a, b = a[1:], b[1:]
			continue
		}
		class, compare := isLetter, strings.Compare
		if isDigit(a[0]) {
			class, compare = isDigit, compareNumbers
		}
		var segmentA, segmentB string
		segmentA, a = span(a, class)
		segmentB, b = span(b, class)
		if c := compare(segmentA, segmentB); c != 0 {
			return c
		}
	}
}

// rpmWeight orders what can follow in a version.
func rpmWeight(s string) int {
	switch {
	case s == "":
		return 1
	case s[0] == '~':
		return 0
	case s[0] == '^':
		return 2
	case isLetter(s[0]):
		return 3
	}
	return 4 // digits
}

func separates(c byte) bool { return c != '~' && c != '^' && !isDigit(c) && !isLetter(c) }

// compareNumbers orders runs of digits of any length by their value; an empty one is zero.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// span cuts s behind its first characters of a class.
func span(s string, class func(byte) bool) (first, rest string) {
	n := 0
	for n < len(s) && class(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNoDigit(c byte) bool { return !isDigit(c) }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
