package ec2_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// roundTripper is a function as an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// operation returns what a request asks for. The body of EBS direct's says nothing about it.
func operation(r *http.Request) string {
	switch {
	case strings.Contains(r.URL.Path, "/snapshots"):
		return map[bool]string{true: "StartSnapshot", false: ebsOperation(r)}[strings.HasSuffix(r.URL.Path, "/snapshots")]
	case r.Body == nil:
		return ""
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	values, _ := url.ParseQuery(string(body))
	return values.Get("Action")
}

func ebsOperation(r *http.Request) string {
	switch {
	case strings.Contains(r.URL.Path, "/completion/"):
		return "CompleteSnapshot"
	case r.Method == http.MethodPut:
		return "PutSnapshotBlock"
	}
	return "Get"
}

// stopAt calls stop when an operation is asked for the nth time, before it is carried out.
func stopAt(name string, n int64, stop func()) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		var seen atomic.Int64
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if operation(r) == name && seen.Add(1) == n {
				stop()
				return nil, r.Context().Err()
			}
			return next.RoundTrip(r)
		})
	}
}

// stopAfter calls stop when an operation was carried out, and passes its answer on.
func stopAfter(name string, stop func()) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			mine := operation(r) == name
			resp, err := next.RoundTrip(r)
			if mine {
				stop()
			}
			return resp, err
		})
	}
}
