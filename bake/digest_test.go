package bake_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
)

const emptyDigest = bake.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

func TestDigest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "content")
		d := bake.DigestOf(b)
		read, err := bake.DigestReader(iotest.HalfReader(bytes.NewReader(b)))
		if err != nil || read != d {
			t.Fatalf("read: got %s and %v, want %s", read, err, d)
		}
		if parsed, err := bake.ParseDigest(string(d)); err != nil || parsed != d {
			t.Fatalf("parse: got %s and %v, want %s", parsed, err, d)
		}
		if len(d.Hex()) != 64 || len(d.Short()) != 12 || !strings.HasPrefix(string(d), "sha256:"+d.Short()) {
			t.Fatalf("%s has %s and %s", d, d.Hex(), d.Short())
		}
	})
	if got := bake.DigestOf(nil); got != emptyDigest {
		t.Errorf("got %s", got)
	}
	if none := bake.Digest(""); none.Hex() != "" || none.Short() != "" {
		t.Error("the zero value names something")
	}
	broken := errors.New("broken")
	if d, err := bake.DigestReader(iotest.ErrReader(broken)); d != "" || !errors.Is(err, broken) {
		t.Errorf("got %q and %v", d, err)
	}
}

func TestParseDigestRefuses(t *testing.T) {
	t.Parallel()
	hexa := emptyDigest.Hex()
	for _, s := range []string{
		"", hexa, "sha256:", "sha256:" + hexa[1:], "sha256:" + hexa + "0", "sha512:" + hexa,
		"sha256:" + strings.ToUpper(hexa), "sha256:" + strings.Replace(hexa, "e", "g", 1), " " + string(emptyDigest),
	} {
		if d, err := bake.ParseDigest(s); d != "" || !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("%q: got %q and %v", s, d, err)
		}
	}
}

func TestDigestJSON(t *testing.T) {
	t.Parallel()
	a, errA := bake.DigestJSON(map[string]int{"one": 1, "two": 2, "three": 3})
	b, errB := bake.DigestJSON(map[string]int{"three": 3, "two": 2, "one": 1})
	if a != b || errA != nil || errB != nil {
		t.Errorf("the order of keys counts: %s, %s, %v, %v", a, b, errA, errB)
	}
	if _, err := bake.DigestJSON(func() {}); err == nil || !strings.Contains(err.Error(), "digest of func()") {
		t.Errorf("got %v", err)
	}
}
