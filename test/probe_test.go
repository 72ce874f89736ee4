package test_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test"
)

const soon = bake.Duration(300 * time.Millisecond)

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
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
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
		"hangs":         {bake.HTTPProbe{Path: "/hang", Status: 200, Timeout: soon}, plain, "deadline exceeded"},
		"tls":           {bake.HTTPProbe{Path: "/", Status: 200, TLS: true, Timeout: soon}, secure, ""},
		"not tls":       {bake.HTTPProbe{Path: "/", Status: 200, TLS: true, Timeout: soon}, plain, "server gave HTTP response to HTTPS client"},
	} {
		t.Run(name, func(t *testing.T) {
			c.probe.Port = 80
			got := test.HTTP(t.Context(), c.probe, c.server.Listener.Addr().String())
			if (got.Status == test.Pass) != (c.want == "") || !strings.Contains(got.Detail, c.want) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
			if !strings.HasPrefix(got.Name, "http") || !strings.HasSuffix(got.Name, ":80"+c.probe.Path) {
				t.Errorf("name %q", got.Name)
			}
		})
	}
}

func TestHTTPProbeOfNobody(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	got := test.HTTP(t.Context(), bake.HTTPProbe{Port: 80, Path: "/", Status: 200, Timeout: soon}, addr)
	if got.Status != test.Fail || !strings.Contains(got.Detail, "connection refused") {
		t.Errorf("got %+v", got)
	}
}
