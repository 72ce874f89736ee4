package imds

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// signer makes tokens that carry their end, so that nobody needs to remember them. They are good for as long as the signer lives.
type signer struct{ key [sha256.Size]byte }

func newSigner() *signer {
	s := new(signer)
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

const endSize = 8 // bytes of a time

func (s *signer) sign(end time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(end.Unix())) //nolint:gosec // after 1970
	return base64.URLEncoding.EncodeToString(s.sum(b))
}

func (s *signer) sum(end []byte) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	_, _ = mac.Write(end) // never fails
	return mac.Sum(end)
}

// verify returns when a token ends, or the zero time if it is none of ours.
func (s *signer) verify(token string) time.Time {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) < endSize || !hmac.Equal(s.sum(b[:endSize:endSize]), b) {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0) //nolint:gosec // sign made it
}
