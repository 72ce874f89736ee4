package localcloud

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/iibake/iibake/test/localcloud/admin"
)

// routes is everything that the port answers.
func (c *Cloud) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(admin.Prefix, onlyThisHost(c.adminRoutes()))
	mux.HandleFunc("/", c.serveServices)
	return mux
}

// serveServices hands a request to the services of AWS.
func (c *Cloud) serveServices(w http.ResponseWriter, r *http.Request) {
	e := c.engine.Load()
	if e == nil {
		http.Error(w, errClosed.Error(), http.StatusServiceUnavailable)
		return
	}
	if e.virtual != nil {
		ctx, release := e.virtual.Hold(r.Context())
		defer release()
		r = r.WithContext(ctx)
	}
	e.services.ServeHTTP(&keptFirst{ResponseWriter: w, keep: e.keep}, r)
}

// keptFirst is a response whose first byte leaves when everything that was changed before is on record: what a client was told
// is still so after the process was killed.
type keptFirst struct {
	http.ResponseWriter
	keep func() error
	once sync.Once
	err  error
}

func (k *keptFirst) kept() error {
	k.once.Do(func() {
		if k.err = k.keep(); k.err != nil {
			http.Error(k.ResponseWriter, k.err.Error(), http.StatusServiceUnavailable)
		}
	})
	return k.err
}

// WriteHeader sends the status, or another one where the state could not be kept.
func (k *keptFirst) WriteHeader(status int) {
	if k.kept() == nil {
		k.ResponseWriter.WriteHeader(status)
	}
}

// Write sends a part of the answer.
func (k *keptFirst) Write(p []byte) (int, error) {
	if err := k.kept(); err != nil {
		return 0, err
	}
	return k.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (k *keptFirst) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// onlyThisHost keeps others out: other hosts, and pages in a browser on this one, which reach any port of it, also by a name of their own.
func onlyThisHost(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.RemoteAddr) || !isLoopback(r.Host) {
			writeError(w, http.StatusForbidden, errors.New("only this host may ask this, by an address of its loopback interface"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback judges host, host:port or the address of an in-process client.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// inProcess is a transport to a handler in this process.
type inProcess struct{ handler http.Handler }

// RoundTrip returns the handler's response, once its header is written.
func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	body, out := io.Pipe()
	w := &pipeWriter{header: http.Header{}, out: out, begun: make(chan struct{})}
	ctx, cancel := context.WithCancel(req.Context())
	in := req.Clone(ctx)
	in.RemoteAddr, in.RequestURI = "127.0.0.1:0", req.URL.RequestURI()
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	go func() {
		defer cancel()
		defer func() { _ = in.Body.Close() }()
		w.end(serveSafely(t.handler, w, in))
	}()
	select {
	case <-w.begun:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if w.err != nil {
		return nil, w.err
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: -1, Request: req,
	}, nil
}

// serveSafely returns the panic by which a handler drops a connection as an error.
func serveSafely(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
				panic(p)
			}
			err = io.ErrUnexpectedEOF
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// pipeWriter is the response of an inProcess request.
type pipeWriter struct {
	header, sent http.Header
	status       int
	err          error // where there is no response
	out          *io.PipeWriter
	begun        chan struct{} // closed when the fields above stand
	once         sync.Once
}

// Header returns what WriteHeader will send.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader begins the response.
func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

// Write waits until the client has read p.
func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.out.Write(bytes.Clone(p))
}

// end ends the response, or the request where nothing was written.
func (w *pipeWriter) end(err error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	w.once.Do(func() {
		w.err = err
		close(w.begun)
	})
	_ = w.out.CloseWithError(err)
}
