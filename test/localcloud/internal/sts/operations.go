package sts

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Durations of sessions, as documented.
const (
	roleDuration    = time.Hour
	chainedDuration = time.Hour // at most, of a role that a session assumes
	userDuration    = 12 * time.Hour
)

func (s *Service) getCallerIdentity(_ context.Context, c *wire.Call, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	id := userID(c.Account)
	if role, session, ok := assumed(c.Caller); ok {
		id = roleID(c.Account, role) + ":" + session
	}
	return &sts.GetCallerIdentityOutput{Account: &c.Account, Arn: &c.Caller, UserId: &id}, nil
}

func (s *Service) getAccessKeyInfo(_ context.Context, _ *wire.Call, in *sts.GetAccessKeyInfoInput) (*sts.GetAccessKeyInfoOutput, error) {
	account, ok := s.keys[*in.AccessKeyId]
	if !ok {
		account, ok = accountOf(*in.AccessKeyId)
	}
	if !ok {
		return nil, wire.Errorf("ValidationError", "Invalid access key.") // inferred
	}
	return &sts.GetAccessKeyInfoOutput{Account: &account}, nil
}

// assumeRole gives a session of any role of any account. All roles have the longest MaxSessionDuration that a role can have: 12 hours.
func (s *Service) assumeRole(_ context.Context, c *wire.Call, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	account, role, ok := parseRole(*in.RoleArn)
	if !ok {
		return nil, wire.Errorf("ValidationError", "Request ARN is invalid")
	}
	if err := assumable(c, in); err != nil {
		return nil, err
	}
	session := *in.RoleSessionName
	arn := "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + session
	given, err := s.credentials(c, account, arn, in.DurationSeconds, roleDuration)
	if err != nil {
		return nil, err
	}
	id := roleID(account, role) + ":" + session
	return &sts.AssumeRoleOutput{
		AssumedRoleUser: &types.AssumedRoleUser{Arn: &arn, AssumedRoleId: &id}, Credentials: given, SourceIdentity: in.SourceIdentity,
	}, nil
}

// assumable refuses what would restrict the session or prove more of the caller: nothing here would act on it.
func assumable(c *wire.Call, in *sts.AssumeRoleInput) error {
	_, _, chained := assumed(c.Caller)
	switch {
	case in.Policy != nil || len(in.PolicyArns) > 0:
		return wire.Errorf("ValidationError", "This cloud does not enforce session policies. Leave Policy and PolicyArns out.")
	case len(in.ProvidedContexts) > 0:
		return wire.Errorf("ValidationError", "This cloud knows no context providers. Leave ProvidedContexts out.")
	case in.SerialNumber != nil || in.TokenCode != nil:
		return noMFA()
	case in.MinimumSessionTokenSize != nil:
		return noTokenSize()
	case chained && in.DurationSeconds != nil && seconds(in.DurationSeconds) > chainedDuration:
		return wire.Errorf("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	return nil
}

func (s *Service) getSessionToken(_ context.Context, c *wire.Call, in *sts.GetSessionTokenInput) (*sts.GetSessionTokenOutput, error) {
	if !strings.HasPrefix(c.Caller, "arn:aws:iam:") {
		return nil, denied("Cannot call GetSessionToken with session credentials")
	}
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, noMFA()
	}
	if in.MinimumSessionTokenSize != nil {
		return nil, noTokenSize()
	}
	given, err := s.credentials(c, c.Account, c.Caller, in.DurationSeconds, userDuration)
	if err != nil {
		return nil, err
	}
	return &sts.GetSessionTokenOutput{Credentials: given}, nil
}

func (s *Service) credentials(c *wire.Call, account, arn string, wanted *int32, usual time.Duration) (*types.Credentials, error) {
	if wanted != nil {
		usual = seconds(wanted)
	}
	expires := c.Time.Add(usual).Truncate(time.Second)
	key, secret, token, err := s.issue(account, arn, expires)
	return &types.Credentials{AccessKeyId: &key, SecretAccessKey: &secret, SessionToken: &token, Expiration: &expires}, err
}

func seconds(n *int32) time.Duration { return time.Duration(*n) * time.Second }

// parseRole reads arn:aws:iam::ACCOUNT:role/PATH/NAME.
func parseRole(arn string) (account, role string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:iam::")
	if !ok {
		return "", "", false
	}
	account, rest, _ = strings.Cut(rest, ":")
	path, ok := strings.CutPrefix(rest, "role/")
	role = path[strings.LastIndex(path, "/")+1:]
	return account, role, ok && isAccount(account) && role != ""
}

// assumed reads the role and the session from the ARN of a session.
func assumed(arn string) (role, session string, ok bool) {
	parts := strings.Split(arn, "/")
	if len(parts) != 3 || !strings.HasSuffix(parts[0], ":assumed-role") {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// userID and roleID are unique ids that are the same at every call.
func userID(account string) string       { return uniqueID("AIDA", account+"/"+userName) }
func roleID(account, role string) string { return uniqueID("AROA", account+"/"+role) }

func uniqueID(prefix, of string) string {
	sum := sha256.Sum256([]byte(prefix + of))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

func noMFA() *wire.Error {
	return denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
}

func noTokenSize() *wire.Error {
	return wire.Errorf("ValidationError", "This cloud does not choose the size of session tokens. Leave MinimumSessionTokenSize out.")
}

func denied(message string) *wire.Error {
	return &wire.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: message}
}
