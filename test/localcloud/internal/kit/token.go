package kit

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// A token is a nonce, the masked body, and the start of a digest over both and the scope. It is opaque and found out when it was altered
// or is used elsewhere; it keeps no secret, and it stays valid when the cloud is started again.
const (
	nonceSize = 12
	sumSize   = 16
)

// Seal returns a token for body that only Open with the same scope reads. Two calls never return the same token.
func Seal(scope, body string) string {
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // never fails
	token := append(nonce[:], body...)
	mask(token)
	sum := sealSum(scope, token)
	return base64.URLEncoding.EncodeToString(append(token, sum[:sumSize]...))
}

// Open returns the body of a token, and whether it is one of that scope.
func Open(scope, token string) (body string, ok bool) {
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(raw) < nonceSize+sumSize {
		return "", false
	}
	end := len(raw) - sumSize
	sum := sealSum(scope, raw[:end])
	if subtle.ConstantTimeCompare(sum[:sumSize], raw[end:]) == 0 {
		return "", false
	}
	mask(raw[:end])
	return string(raw[nonceSize:end]), true
}

// mask makes the body unreadable, so that no client builds on what is in it, and readable again.
func mask(token []byte) {
	var pad [sha256.Size]byte
	for i := range token[nonceSize:] {
		if i%len(pad) == 0 {
			pad = sha256.Sum256(append(token[:nonceSize:nonceSize], byte(i/len(pad))))
		}
		token[nonceSize+i] ^= pad[i%len(pad)]
	}
}

func sealSum(scope string, token []byte) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte(scope), 0), token...))
}
