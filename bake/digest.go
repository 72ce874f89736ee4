package bake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

const (
	digestPrefix = "sha256:"
	hexDigits    = "0123456789abcdef"
)

// Digest names content by its SHA-256: "sha256:" and 64 lower-case hexadecimal digits. The zero value names nothing.
type Digest string

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return NewDigest(sum)
}

// NewDigest returns the digest that a finished SHA-256 stands for.
func NewDigest(sum [sha256.Size]byte) Digest {
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// DigestReader returns the digest of everything that r yields.
func DigestReader(r io.Reader) (Digest, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return NewDigest([sha256.Size]byte(h.Sum(nil))), nil
}

// DigestJSON returns the digest of v's JSON encoding. Struct fields keep their order and map keys are sorted by
// encoding/json, so equal values have equal digests.
func DigestJSON(v any) (Digest, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("digest of %T: %w", v, err)
	}
	return DigestOf(b), nil
}

// ParseDigest reads the form that [Digest] is written in.
func ParseDigest(s string) (Digest, error) {
	hexa, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(hexa) != hex.EncodedLen(sha256.Size) || strings.Trim(hexa, hexDigits) != "" {
		return "", fmt.Errorf("%w digest %q: want sha256: and 64 lower-case hexadecimal digits", ErrInvalid, s)
	}
	return Digest(s), nil
}

// Hex returns the hexadecimal digits without the algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// Short returns the first twelve hexadecimal digits, enough to recognise an image by.
func (d Digest) Short() string {
	h := d.Hex()
	return h[:min(12, len(h))]
}
