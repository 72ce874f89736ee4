// Package kit is what the services of the cloud have in common: identifiers, pages, filters, tags and client tokens, as EC2 has them.
package kit

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// ID returns a new identifier of the form that EC2 gives out: the prefix, a dash, a zero and 16 hexadecimal digits.
func ID(prefix string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + "-0" + hex.EncodeToString(b[:])
}

// UUID returns a new random UUID.
func UUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
