package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
)

// answer is what S3 says, whatever it is asked.
type answer struct {
	status       int
	code, region string
	err          error
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>told so</Message></Error>`, a.code)
	h := http.Header{"Content-Type": {"application/xml"}}
	if a.region != "" {
		h.Set("X-Amz-Bucket-Region", a.region)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestErrorsSayWhatToDo has S3 answer each way that it has of saying no.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer answer
		is     error
		want   string
	}{
		"no bucket":     {answer{404, "NoSuchBucket", "", nil}, s3.ErrBucket, "no such bucket: bucket: create it, for example by aws s3 mb s3://bucket"},
		"denied":        {answer{403, "AccessDenied", "", nil}, s3.ErrDenied, "permission denied: s3:GetObject on arn:aws:s3:::bucket/some/prefix/*, and s3:ListBucket on arn:aws:s3:::bucket, without which"},
		"expired":       {answer{400, "ExpiredToken", "", nil}, s3.ErrCredentials, "they have expired: log in again"},
		"wrong key":     {answer{403, "InvalidAccessKeyId", "", nil}, s3.ErrCredentials, "told so"},
		"wrong clock":   {answer{403, "RequestTimeTooSkewed", "", nil}, nil, "this machine's clock is wrong: set it"},
		"elsewhere":     {answer{301, "PermanentRedirect", "", nil}, nil, "bucket bucket is in another region: set AWS_REGION"},
		"everywhere":    {answer{301, "PermanentRedirect", "eu-north-1", nil}, nil, "bucket bucket is in another region"},
		"no conditions": {answer{501, "NotImplemented", "", nil}, nil, "conditional writes are missing"},
		"network":       {answer{err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}}, s3.ErrNetwork, "cannot reach the endpoint"},
		"unknown":       {answer{400, "WhoKnows", "", nil}, nil, "WhoKnows: told so"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalogOf(t, c.answer, nil).Get(t.Context(), "key")
			wantText(t, err, "get key: ")
			wantText(t, err, c.want)
			if c.is != nil && !errors.Is(err, c.is) || errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("%v is not %v", err, c.is)
			}
		})
	}
	none := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("there are none") })
	_, err := catalogOf(t, answer{}, none).List(t.Context(), "")
	wantText(t, err, "list : no valid credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in: there are none")
	if strings.Contains(err.Error(), "operation error") {
		t.Errorf("%v says what nobody can use", err)
	}
	_, err = catalogOf(t, answer{403, "AccessDenied", "", nil}, nil).List(t.Context(), "")
	wantText(t, err, "list : permission denied: s3:ListBucket on arn:aws:s3:::bucket")
}

// Who waits for credentials when the time is over is not told to log in.
func TestOverdue(t *testing.T) {
	t.Parallel()
	enough := make(chan struct{})
	t.Cleanup(func() { close(enough) })
	waiting := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		<-enough
		return aws.Credentials{}, errors.New("too late")
	}))
	silent := roundTrip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	for name, c := range map[string]*s3.Catalog{"credentials": catalogOf(t, answer{}, waiting), "the call": catalogOf(t, silent, nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, err := c.Get(ctx, "key")
			wantText(t, err, "get key: cannot reach the endpoint: ")
			t.Log(err)
			if !errors.Is(err, s3.ErrNetwork) || errors.Is(err, s3.ErrCredentials) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is not %v alone", err, s3.ErrNetwork)
			}
		})
	}
}

func catalogOf(t *testing.T, to http.RoundTripper, provider aws.CredentialsProvider) *s3.Catalog {
	t.Helper()
	if provider == nil {
		provider = credentials.NewStaticCredentialsProvider(account, "secret", "")
	}
	c, err := s3.New(aws.Config{
		Region: region, HTTPClient: &http.Client{Transport: to}, Credentials: provider,
		Retryer: func() aws.Retryer {
			return s3.Retryer(retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil }))
		},
	}, address)
	must(t, err)
	return c
}

// TestDeniedWrite names the permission to write.
func TestDeniedWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	no := answer{403, "AccessDenied", "", nil}
	c := w.open(roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut {
			return no.RoundTrip(r)
		}
		return w.cloud.Client().Transport.RoundTrip(r)
	}))
	wantText(t, c.Put(t.Context(), "key", nil), "put key: permission denied: s3:PutObject on arn:aws:s3:::bucket/some/prefix/*")
	keys, err := c.List(t.Context(), "")
	if len(keys) > 0 || err != nil {
		t.Errorf("%q, %v", keys, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestConflict has S3 say that somebody else writes the same key at this moment.
func TestConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := 0
	c := w.open(roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && n < 5 {
			n++
			return answer{409, "ConditionalRequestConflict", "", nil}.RoundTrip(r)
		}
		return w.cloud.Client().Transport.RoundTrip(r)
	}))
	must(t, c.Put(t.Context(), "key", nil))
	if n != 5 {
		t.Errorf("%d conflicts", n)
	}
	wantProblems(t, c)
}

// TestRegionIsFound looks for the bucket in a wrong region, and in none.
func TestRegionIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, wrong := range []string{"", "us-east-1", "ap-southeast-2"} {
		l := w.line(nil)
		config := w.config(l)
		config.Region = wrong
		c, err := s3.New(config, address)
		must(t, err)
		must(t, c.Put(t.Context(), "key", []byte("x")))
		if n := l.count(); n > 7 {
			t.Errorf("from %q: %d calls", wrong, n)
		}
		wantProblems(t, c)
	}
}

// TestNoCredentials has a machine without any: nobody logs beside the error, which says it once.
func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": region,
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	c, err := s3.Open(t.Context(), address)
	must(t, err)
	_, err = c.Get(t.Context(), "key")
	wantText(t, err, "get key: no valid credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and")
	if n := strings.Count(err.Error(), "credentials"); n > 2 || strings.Contains(err.Error(), "operation error") {
		t.Errorf("%v says it %d times", err, n)
	}
}

// TestNoProfile has a profile that is not there.
func TestNoProfile(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_PROFILE", "nobody")
	_, err := s3.Open(t.Context(), address)
	wantText(t, err, "catalog "+address+": no valid credentials: set AWS_PROFILE to one that there is: failed to get shared config profile, nobody")
	if !errors.Is(err, s3.ErrCredentials) || errors.Is(err, s3.ErrAddress) {
		t.Errorf("%v is not %v", err, s3.ErrCredentials)
	}
}

// TestEndpointWithoutScheme has an address that is none.
func TestEndpointWithoutScheme(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"127.0.0.1:4580", "localhost:4580"} {
		c, err := s3.New(aws.Config{
			Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider(account, "secret", ""),
		}, address)
		must(t, err)
		_, err = c.Get(t.Context(), "key")
		wantText(t, err, "get key: cannot reach the endpoint: its address "+endpoint+" is no URL: write http:// or https:// before it")
		if !errors.Is(err, s3.ErrNetwork) {
			t.Errorf("%v is not %v", err, s3.ErrNetwork)
		}
	}
}

// TestNobodyThere dials what never answered few times, and what has answered before many times; an endpoint that is there but says it is busy
// is asked as often.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	dial := answer{err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}
	for name, c := range map[string]struct {
		first, then answer
		want        int // requests
	}{
		"never there": {dial, dial, 3},
		"no name":     {answer{err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, dial, 3},
		"was there":   {answer{404, "NoSuchKey", "", nil}, dial, 1 + 12},
		"busy":        {answer{503, "SlowDown", "", nil}, answer{503, "SlowDown", "", nil}, 12},
		"reset":       {answer{err: &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}}, answer{503, "SlowDown", "", nil}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			catalog := catalogOf(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				if n++; n == 1 {
					return c.first.RoundTrip(r)
				}
				return c.then.RoundTrip(r)
			}), nil)
			_, err := catalog.Get(t.Context(), "key")
			if name == "was there" {
				_, err = catalog.Get(t.Context(), "key")
			}
			if err == nil || n != c.want {
				t.Errorf("%d requests: want %d: %v", n, c.want, err)
			}
			if name == "never there" {
				wantText(t, err, "get key: cannot reach the endpoint: dial tcp: connection refused, after 3 tries")
			}
		})
	}
}
