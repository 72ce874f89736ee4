package test_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test"
)

const soon = bake.Duration(300 * time.Millisecond)

// ask makes a probe in a time that passes only while it pauses: each try ends, however slow this host is.
func ask(t *testing.T, probe bake.HTTPProbe, address string) (r test.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { r = test.HTTP(t.Context(), probe, address) })
	return r
}

func TestHTTPProbe(t *testing.T) {
	var requests atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello world")) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://nowhere.invalid/", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	secure.Config.ErrorLog = nil
	for name, c := range map[string]struct {
		probe  bake.HTTPProbe
		server *httptest.Server
		want   string // in the detail of a failure; empty for a pass
	}{
		"answers":       {bake.HTTPProbe{Path: "/", Status: 200, Timeout: soon}, plain, ""},
		"contains":      {bake.HTTPProbe{Path: "/", Status: 200, Contains: "lo wo", Timeout: soon}, plain, ""},
		"contains not":  {bake.HTTPProbe{Path: "/", Status: 200, Contains: "moon", Timeout: soon}, plain, `does not contain "moon"`},
		"status":        {bake.HTTPProbe{Path: "/", Status: 404, Timeout: soon}, plain, "has status 200 OK, want 404"},
		"redirect":      {bake.HTTPProbe{Path: "/moved", Status: 301, Timeout: soon}, plain, ""},
		"after a while": {bake.HTTPProbe{Path: "/late", Status: 200, Timeout: bake.Duration(time.Minute)}, plain, ""},
		"tls":           {bake.HTTPProbe{Path: "/", Status: 200, TLS: true, Timeout: soon}, secure, ""},
		"not tls":       {bake.HTTPProbe{Path: "/", Status: 200, TLS: true, Timeout: soon}, plain, "server gave HTTP response to HTTPS client"},
	} {
		t.Run(name, func(t *testing.T) {
			c.probe.Port = 80
			got := ask(t, c.probe, c.server.Listener.Addr().String())
			if (got.Status == test.Pass) != (c.want == "") || !strings.Contains(got.Detail, c.want) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
			if !strings.HasPrefix(got.Name, "http") || !strings.HasSuffix(got.Name, ":80"+c.probe.Path) {
				t.Errorf("name %q", got.Name)
			}
		})
	}
}

// Where somebody is waited for, the time is this host's.
func TestHTTPProbeThatHangs(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	got := test.HTTP(t.Context(), bake.HTTPProbe{Port: 80, Path: "/", Status: 200, Timeout: soon}, s.Listener.Addr().String())
	if got.Status != test.Fail || !strings.Contains(got.Detail, "deadline exceeded") {
		t.Errorf("got %+v", got)
	}
}

func TestHTTPProbeOfNobody(t *testing.T) {
	got := ask(t, bake.HTTPProbe{Port: 80, Path: "/", Status: 200, Timeout: soon}, nobody(t))
	if got.Status != test.Fail || !strings.Contains(got.Detail, "connection refused") {
		t.Errorf("got %+v", got)
	}
}

// nobody returns an address that is taken, so that nobody else comes to listen there, and that refuses connections.
func nobody(t *testing.T) string {
	t.Helper()
	var taken net.Conn
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err == nil {
		taken, err = new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(taken.Close(), l.Close()) })
	return taken.LocalAddr().String()
}
