package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

const (
	format    = 1
	magic     = "iibake catalog "
	dataDir   = "data/"
	seqDigits = 12
)

// header is how every object begins. That of a value goes on with a space, the number of its entry and, unless it was removed, a newline and the
// value; that of an entry with a newline and the entry.
func header() string { return magic + strconv.Itoa(format) }

// minValue is the size of the smallest object that stands for a value, in bytes: one below it is of a head that was removed, so that a listing tells.
func minValue() int64 { return int64(len(header())) + 1 + seqDigits + 1 }

// value is what a key holds, since an entry.
type value struct {
	seq  int64
	body []byte // nil where there is nothing
	etag string // of its object; empty where there is none

	digest string // of the body, where that is not kept
}

// parseHeader returns what stands behind the header.
func parseHeader(body []byte) ([]byte, error) {
	if rest, ok := bytes.CutPrefix(body, []byte(header())); ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\n') {
		return rest, nil
	}
	rest, known := strings.CutPrefix(string(body[:min(len(body), 40)]), magic)
	version, _, _ := strings.Cut(strings.ReplaceAll(rest, "\n", " "), " ")
	number, err := strconv.Atoi(version)
	switch {
	case known && err == nil && number > format:
		return nil, fmt.Errorf("it has format %d, and this release knows format %d: use a newer release of iibake", number, format)
	case known && err == nil && number < format:
		return nil, fmt.Errorf("it has format %d, and this release knows format %d: use an older release of iibake", number, format)
	}
	return nil, fmt.Errorf("it begins with %q instead of %q: it was altered, or something else is kept below this prefix", shorten(string(body)), header())
}

func shorten(s string) string { return s[:min(len(s), 20)] }

// parseValue reads the object of a key; nil is none.
func parseValue(o *object) (value, error) {
	if o == nil {
		return value{}, nil
	}
	rest, err := parseHeader(o.body)
	if err != nil {
		return value{}, err
	}
	if len(rest) < 1+seqDigits || rest[0] != ' ' {
		return value{}, fmt.Errorf("it begins with %q: it was altered", shorten(string(o.body)))
	}
	seq, err := strconv.ParseInt(string(rest[1:1+seqDigits]), 10, 64)
	rest = rest[1+seqDigits:]
	switch {
	case err != nil || seq < 1 || len(rest) > 0 && rest[0] != '\n':
		return value{}, fmt.Errorf("it begins with %q: it was altered", shorten(string(o.body)))
	case len(rest) == 0:
		return value{seq: seq, etag: o.etag}, nil
	}
	return value{seq: seq, body: rest[1:], etag: o.etag}, nil
}

// formatValue returns the object of a value.
func formatValue(seq int64, body []byte) []byte {
	b := fmt.Appendf(nil, "%s %0*d", header(), seqDigits, seq)
	if body == nil {
		return b
	}
	return append(append(b, '\n'), body...)
}

// digestOf names a value by its SHA-256; absence has no name.
func digestOf(body []byte) string {
	if body == nil {
		return ""
	}
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}
