// Package catalog is the record of everything that was baked, judged and promoted.
//
// It stores two sorts of things under slash-separated keys. Records are immutable: they are put once and never change.
// Heads, the keys below [Heads], are the only mutable things: they move by compare-and-set. Every change is an entry of a
// journal in which each entry carries the digest of the one before it, so that [Catalog.Verify] finds any record that was
// altered, removed or slipped in behind the journal's back.
//
// The package is the bottom layer of the house and imports none of it. Typed views live with their types: images in bake,
// verdicts in test, channels in promote. One conformance suite (catalogtest) runs unchanged on every backend.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Heads is the first segment of the keys that move by [Catalog.Swap].
const Heads = "heads/"

var (
	// ErrExists is wrapped by Put when the key already holds another body.
	ErrExists = errors.New("already exists")
	// ErrNotFound is wrapped by Get when nothing is stored under the key.
	ErrNotFound = errors.New("not found")
	// ErrMoved is wrapped by Swap when the head does not hold the expected value.
	ErrMoved = errors.New("moved by somebody else")
	// ErrKey is wrapped when a key is malformed or used with the wrong method.
	ErrKey = errors.New("invalid key")
)

// Catalog is the record. Implementations are safe for concurrent use by many goroutines and many processes. A method that
// returns without error has made its change durable; one that is cancelled or killed has made it whole or not at all.
type Catalog interface {
	// Put creates a record. Putting the same body under the same key again is no error and changes nothing; another body
	// is refused with an error wrapping ErrExists. Keys below Heads are refused with ErrKey.
	Put(ctx context.Context, key string, body []byte) error
	// Get returns the body of a record, or the value of a head, or an error wrapping ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// List returns the keys that begin with prefix, sorted. The prefix need not end at a slash. None is no error.
	List(ctx context.Context, prefix string) ([]string, error)
	// Swap moves a head from the value old to the value next, or wraps ErrMoved. A nil old means that the head must not
	// exist yet; a nil next removes it. The key lies below Heads, otherwise ErrKey.
	Swap(ctx context.Context, head string, old, next []byte) error
	// Verify walks the whole journal and every record and head, and returns all that does not fit. The error is for what
	// kept it from looking. It changes nothing.
	Verify(ctx context.Context) ([]Problem, error)
}

// Problem is one thing that Verify found wrong.
type Problem struct {
	Key  string `json:"key"`  // the record, head or journal entry
	Text string `json:"text"` // what is wrong with it
}

// String returns the problem as one line.
func (p Problem) String() string { return p.Key + ": " + p.Text }

const (
	maxKey     = 512 // bytes; well below S3's 1024, which must also hold a bucket prefix
	maxSegment = 200 // bytes; well below the 255 that a file's name may have
)

// CheckRecord returns an error wrapping [ErrKey] unless key is a key that [Catalog.Put] takes.
func CheckRecord(key string) error {
	if strings.HasPrefix(key, Heads) {
		return fmt.Errorf("%w %q: keys below %s are heads and move by swap", ErrKey, key, Heads)
	}
	return CheckKey(key)
}

// CheckHead returns an error wrapping [ErrKey] unless key is a key that [Catalog.Swap] takes.
func CheckHead(key string) error {
	if !strings.HasPrefix(key, Heads) {
		return fmt.Errorf("%w %q: only keys below %s move by swap", ErrKey, key, Heads)
	}
	return CheckKey(key)
}

// CheckKey returns an error wrapping [ErrKey] unless key is up to 512 bytes of segments, separated by single slashes. A
// segment is up to 200 letters, digits and -._+@=, but not "." or "..".
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("%w %q: want 1 to %d bytes", ErrKey, key, maxKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." || len(segment) > maxSegment ||
			strings.ContainsFunc(segment, notInKey) {
			return fmt.Errorf("%w %q: segment %q: want up to %d letters, digits and -._+@=", ErrKey, key, segment, maxSegment)
		}
	}
	return nil
}

func notInKey(r rune) bool {
	alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !alnum && !strings.ContainsRune("-._+@=", r)
}
