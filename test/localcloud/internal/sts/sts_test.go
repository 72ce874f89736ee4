package sts_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/sts"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	home  = "111122223333"
	other = "000000000042"
	role  = "arn:aws:iam::" + other + ":role/path/iibake"
)

// cloud is a service with a clock of its own behind a gateway.
type cloud struct {
	service *sts.Service
	clock   *clock.Virtual
	gateway *wire.Gateway
}

func newCloud(t *testing.T) cloud {
	t.Helper()
	c := cloud{clock: clock.NewVirtual(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))}
	c.service = sts.New(c.clock, []byte("secret"), map[string]string{"AKIDNAMED": home})
	s := wire.NewService("sts")
	c.service.Register(s)
	c.gateway = wire.NewGateway(wire.Options{Services: []*wire.Service{s}, Accounts: c.service, Clock: c.clock})
	if err := c.gateway.Check(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c cloud) client(key, token string) *awssts.Client {
	return awssts.New(awssts.Options{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(key, "secret", token),
		HTTPClient: &http.Client{Transport: c.gateway}, BaseEndpoint: aws.String("http://localhost"), RetryMaxAttempts: 1,
	})
}

func (c cloud) as(given *types.Credentials) *awssts.Client {
	return c.client(*given.AccessKeyId, *given.SessionToken)
}

func (c cloud) assume(t *testing.T, from *awssts.Client) *awssts.AssumeRoleOutput {
	t.Helper()
	out, err := from.AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("deploy@ci")})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantCode(t *testing.T, err error, code, text string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), text) {
		t.Errorf("got %v; want %s %s", err, code, text)
	}
}

func TestAccessKeysAreAccounts(t *testing.T) {
	c := newCloud(t)
	for key, account := range map[string]string{home: home, other: other, "AKIDNAMED": home} {
		out, err := c.client(key, "").GetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if *out.Account != account || *out.Arn != "arn:aws:iam::"+account+":user/iibake" || !strings.HasPrefix(*out.UserId, "AIDA") || len(*out.UserId) != 21 {
			t.Errorf("%s is %v %v %v", key, *out.Account, *out.Arn, *out.UserId)
		}
	}
	_, err := c.client("AKIDNOBODY", "").GetCallerIdentity(t.Context(), nil)
	wantCode(t, err, "InvalidClientTokenId", "The security token included in the request is invalid.")
}

func TestAssumeRoleSwitchesAccounts(t *testing.T) {
	c := newCloud(t)
	out := c.assume(t, c.client(home, ""))
	if want := c.clock.Now().Add(time.Hour); !out.Credentials.Expiration.Equal(want) {
		t.Errorf("expires at %v, not %v", out.Credentials.Expiration, want)
	}
	if !strings.HasPrefix(*out.Credentials.AccessKeyId, "ASIA") || len(*out.Credentials.AccessKeyId) != 20 || len(*out.Credentials.SecretAccessKey) != 40 {
		t.Errorf("credentials %v", *out.Credentials.AccessKeyId)
	}
	who, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if arn := "arn:aws:sts::" + other + ":assumed-role/iibake/deploy@ci"; *who.Account != other || *who.Arn != arn || *out.AssumedRoleUser.Arn != arn {
		t.Errorf("session is %v %v", *who.Account, *who.Arn)
	}
	if *who.UserId != *out.AssumedRoleUser.AssumedRoleId || !strings.HasPrefix(*who.UserId, "AROA") || !strings.HasSuffix(*who.UserId, ":deploy@ci") {
		t.Errorf("user id %v", *who.UserId)
	}
	info, err := c.client(home, "").GetAccessKeyInfo(t.Context(), &awssts.GetAccessKeyInfoInput{AccessKeyId: out.Credentials.AccessKeyId})
	if err != nil || *info.Account != other {
		t.Errorf("key info %v %v", info, err)
	}
}

func TestSessionsExpire(t *testing.T) {
	c := newCloud(t)
	out := c.assume(t, c.client(home, ""))
	c.clock.Advance(time.Hour - time.Second)
	if _, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Error(err)
	}
	c.clock.Advance(time.Second)
	_, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil)
	wantCode(t, err, "ExpiredToken", "The security token included in the request is expired")
}

func TestSessionsOutliveTheService(t *testing.T) {
	c := newCloud(t)
	out := c.assume(t, c.client(home, ""))
	again := sts.New(c.clock, []byte("secret"), nil)
	if who, err := again.Identify(t.Context(), *out.Credentials.AccessKeyId, *out.Credentials.SessionToken); err != nil || who.Account != other {
		t.Errorf("after a restart: %v %v", who, err)
	}
	stranger := sts.New(c.clock, []byte("other secret"), nil)
	if _, err := stranger.Identify(t.Context(), *out.Credentials.AccessKeyId, *out.Credentials.SessionToken); !errors.Is(err, wire.ErrInvalidToken) {
		t.Errorf("another cloud took the token: %v", err)
	}
}

func TestTokensAreOfTheirKey(t *testing.T) {
	c := newCloud(t)
	out := c.assume(t, c.client(home, ""))
	key, token := *out.Credentials.AccessKeyId, *out.Credentials.SessionToken
	for name, pair := range map[string][2]string{
		"no token": {key, ""}, "other key": {"ASIAAAAAAAAAAAAAAAAA", token}, "an account's key": {home, token}, "cut": {key, token[:len(token)-1]},
		"changed": {key, "A" + token[1:]}, "no sum": {key, strings.Split(token, ".")[0]}, "junk": {key, "junk"},
	} {
		if _, err := c.service.Identify(context.Background(), pair[0], pair[1]); !errors.Is(err, wire.ErrInvalidToken) && !errors.Is(err, wire.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAssumeRoleRefuses(t *testing.T) {
	c := newCloud(t)
	user := c.client(home, "")
	session := c.as(c.assume(t, user).Credentials)
	for name, test := range map[string]struct {
		from       *awssts.Client
		change     func(*awssts.AssumeRoleInput)
		code, text string
	}{
		"a user":           {user, func(in *awssts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::" + other + ":user/iibake") }, "ValidationError", "Request ARN is invalid"},
		"a short account":  {user, func(in *awssts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::42:role/iibake") }, "ValidationError", "Request ARN is invalid"},
		"no role":          {user, func(in *awssts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::" + other + ":role/") }, "ValidationError", "Request ARN is invalid"},
		"a short ARN":      {user, func(in *awssts.AssumeRoleInput) { in.RoleArn = aws.String("x") }, "ValidationError", "1 validation error detected: Value 'x' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20"},
		"a long name":      {user, func(in *awssts.AssumeRoleInput) { in.RoleSessionName = aws.String(strings.Repeat("s", 65)) }, "ValidationError", "at 'roleSessionName' failed to satisfy constraint: Member must have length less than or equal to 64"},
		"a bad name":       {user, func(in *awssts.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") }, "ValidationError", `Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		"a short time":     {user, func(in *awssts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(899) }, "ValidationError", "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		"a long time":      {user, func(in *awssts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43201) }, "ValidationError", "less than or equal to 43200"},
		"chained":          {session, func(in *awssts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(3601) }, "ValidationError", "role chaining"},
		"a session policy": {user, func(in *awssts.AssumeRoleInput) { in.Policy = aws.String("{}") }, "ValidationError", "does not enforce session policies"},
		"a context": {user, func(in *awssts.AssumeRoleInput) {
			in.ProvidedContexts = []types.ProvidedContext{{ProviderArn: aws.String("arn:aws:iam::aws:contextProvider/x")}}
		}, "ValidationError", "context providers"},
		"an MFA code": {user, func(in *awssts.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = aws.String("GAHT12345678"), aws.String("123456")
		}, "AccessDenied", "MultiFactorAuthentication failed"},
		"a token size": {user, func(in *awssts.AssumeRoleInput) { in.MinimumSessionTokenSize = aws.Int32(4096) }, "ValidationError", "size of session tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &awssts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("deploy")}
			test.change(in)
			_, err := test.from.AssumeRole(t.Context(), in)
			wantCode(t, err, test.code, test.text)
		})
	}
}

func TestAssumeRoleFromASession(t *testing.T) {
	c := newCloud(t)
	session := c.as(c.assume(t, c.client(home, "")).Credentials)
	out, err := session.AssumeRole(t.Context(), &awssts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + home + ":role/back"), RoleSessionName: aws.String("back"), DurationSeconds: aws.Int32(3600), SourceIdentity: aws.String("alice"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil); err != nil || *who.Account != home || *out.SourceIdentity != "alice" {
		t.Errorf("got %v %v", who, err)
	}
}

func TestGetSessionToken(t *testing.T) {
	c := newCloud(t)
	out, err := c.client(home, "").GetSessionToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := c.clock.Now().Add(12 * time.Hour); !out.Credentials.Expiration.Equal(want) {
		t.Errorf("expires at %v, not %v", out.Credentials.Expiration, want)
	}
	who, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil)
	if err != nil || *who.Arn != "arn:aws:iam::"+home+":user/iibake" {
		t.Errorf("got %v %v", who, err)
	}
	session := c.as(c.assume(t, c.client(home, "")).Credentials)
	_, err = session.GetSessionToken(t.Context(), nil)
	wantCode(t, err, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	_, err = c.client(home, "").GetSessionToken(t.Context(), &awssts.GetSessionTokenInput{TokenCode: aws.String("123456")})
	wantCode(t, err, "AccessDenied", "MultiFactorAuthentication")
	_, err = c.client(home, "").GetSessionToken(t.Context(), &awssts.GetSessionTokenInput{MinimumSessionTokenSize: aws.Int32(4096)})
	wantCode(t, err, "ValidationError", "size")
}

func TestAccessKeyInfoOfAnUnknownKey(t *testing.T) {
	c := newCloud(t)
	_, err := c.client(home, "").GetAccessKeyInfo(t.Context(), &awssts.GetAccessKeyInfoInput{AccessKeyId: aws.String("0123456789abcdef")})
	wantCode(t, err, "ValidationError", "Invalid access key")
}

func TestOperationsThatAreNotModelled(t *testing.T) {
	c := newCloud(t)
	_, err := c.client(home, "").GetFederationToken(t.Context(), &awssts.GetFederationTokenInput{Name: aws.String("bob")})
	wantCode(t, err, "InvalidAction", "Could not find operation GetFederationToken for version 2011-06-15")
}
