package wire_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// raw is a request as a client writes it.
type raw struct {
	method, target, body string
	header               map[string]string
	service              string // signed for; empty: not signed
}

// authorization is a header that is right in form.
func authorization(service string, at time.Time) string {
	return "AWS4-HMAC-SHA256 Credential=" + account + "/" + at.Format("20060102") + "/eu-west-1/" + service + "/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + sum
}

func (r raw) request() *http.Request {
	method, target := r.method, r.target
	if method == "" {
		method = http.MethodPost
	}
	if target == "" {
		target = "/"
	}
	q := httptest.NewRequestWithContext(context.Background(), method, "http://localhost"+target, strings.NewReader(r.body))
	if r.service != "" {
		now := time.Now().UTC()
		q.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
		q.Header.Set("Authorization", authorization(r.service, now))
	}
	for name, value := range r.header {
		q.Header.Set(name, value)
	}
	return q
}

// response is an answer with its request id replaced by ID.
type response struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, g *wire.Gateway, r raw) response {
	t.Helper()
	return exchangeOf(t, g, r.request())
}

func exchangeOf(t *testing.T, g *wire.Gateway, q *http.Request) response {
	t.Helper()
	got, err := g.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	id := got.Header.Get("X-Amzn-Requestid")
	if len(id) != 36 && got.Header.Get("X-Amz-Request-Id") == "" {
		t.Errorf("request id %q", id)
	}
	if id != "" {
		body = bytes.ReplaceAll(body, []byte(id), []byte("ID"))
	}
	return response{got.StatusCode, got.Header, string(body)}
}

// wants compares an answer; the text must be all of the body.
func (r response) wants(t *testing.T, status int, body string) {
	t.Helper()
	if r.status != status || r.body != body {
		t.Errorf("got  %d %s\nwant %d %s", r.status, r.body, status, body)
	}
}
