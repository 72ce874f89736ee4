// Package sts is the Security Token Service: it knows whose access key is whose, and gives temporary credentials of other accounts.
//
// There are no users, roles or policies to be made in this cloud: every account has one user, and every role that can be named can be
// assumed. What would restrict a session is refused, not ignored.
package sts

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// userName is the name of the only user of an account.
const userName = "iibake"

// Service is the Security Token Service. It keeps nothing: all that is known of temporary credentials stands, signed, in their session
// token, so that they outlive a restart.
type Service struct {
	clock  clock.Clock
	secret []byte
	keys   map[string]string
}

// New returns the service. Session tokens are signed with secret, which must stay the same as long as they are to be good. keys
// gives further access keys with the 12 digits of their accounts; an access key that is 12 digits is always of that account.
func New(c clock.Clock, secret []byte, keys map[string]string) *Service {
	return &Service{clock: c, secret: append([]byte(nil), secret...), keys: maps.Clone(keys)}
}

// Register adds the operations to the service named sts.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.getCallerIdentity)
	wire.Handle(svc, s.getAccessKeyInfo)
	wire.Handle(svc, s.assumeRole)
	wire.Handle(svc, s.getSessionToken)
}

// Identify implements wire.Accounts.
func (s *Service) Identify(_ context.Context, accessKey, sessionToken string) (wire.Identity, error) {
	if sessionToken != "" {
		return s.session(accessKey, sessionToken)
	}
	account := accessKey
	if !isAccount(accessKey) {
		account = s.keys[accessKey]
	}
	if account == "" {
		return wire.Identity{}, fmt.Errorf("access key %q: %w", accessKey, wire.ErrUnknownKey)
	}
	return wire.Identity{Account: account, ARN: "arn:aws:iam::" + account + ":user/" + userName}, nil
}

// claims is what a session token says.
type claims struct {
	Key     string `json:"k"`
	Account string `json:"a"`
	ARN     string `json:"r"`
	Expires int64  `json:"e"` // seconds since 1970
}

func (s *Service) session(accessKey, token string) (wire.Identity, error) {
	text, sum, _ := strings.Cut(token, ".")
	body, err := base64.RawURLEncoding.DecodeString(text)
	var c claims
	if err != nil || !hmac.Equal([]byte(sum), []byte(s.sum(text))) || json.Unmarshal(body, &c) != nil || c.Key != accessKey {
		return wire.Identity{}, fmt.Errorf("access key %q: %w", accessKey, wire.ErrInvalidToken)
	}
	if s.clock.Now().Unix() >= c.Expires {
		return wire.Identity{}, fmt.Errorf("access key %q: %w", accessKey, wire.ErrExpiredToken)
	}
	return wire.Identity{Account: c.Account, ARN: c.ARN}, nil
}

// issue makes temporary credentials: access key, secret key, session token.
func (s *Service) issue(account, arn string, expires time.Time) (key, secret, token string, err error) {
	key = newKey("ASIA", account)
	body, err := json.Marshal(claims{Key: key, Account: account, ARN: arn, Expires: expires.Unix()})
	if err != nil {
		return "", "", "", fmt.Errorf("session token: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	random := make([]byte, 30)
	_, _ = rand.Read(random) // never fails
	return key, base64.StdEncoding.EncodeToString(random), text + "." + s.sum(text), nil
}

func (s *Service) sum(text string) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// newKey makes an access key, or another unique id, as AWS does: its first 47 bits or so are the account.
func newKey(prefix, account string) string {
	number, _ := strconv.ParseUint(account, 10, 40) // accounts are 12 digits
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	head := 1<<63 | number<<23 | uint64(binary.BigEndian.Uint32(b[4:8]))&(1<<23-1)
	binary.BigEndian.PutUint64(b[:8], head)
	return prefix + base32.StdEncoding.EncodeToString(b[:])
}

// accountOf reads the account from an access key of AWS's form.
func accountOf(key string) (string, bool) {
	if len(key) != 20 || key[:4] != "ASIA" && key[:4] != "AKIA" {
		return "", false
	}
	b, err := base32.StdEncoding.DecodeString(key[4:])
	if err != nil {
		return "", false
	}
	account := fmt.Sprintf("%012d", binary.BigEndian.Uint64(b)>>23&(1<<40-1))
	return account, len(account) == 12
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }
