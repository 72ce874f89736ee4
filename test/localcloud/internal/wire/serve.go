package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What a body may be at most: one block of EBS direct and some, or far more than a form ever is.
const (
	maxBody  = 4 << 20
	maxBlock = 1 << 20
)

// errPanic is a handler's panic, which has been logged.
var errPanic = errors.New("panic")

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := g.options.Signing.Now()
	query := r.URL.Query()
	c := &call{gateway: g, Call: &Call{RequestID: uuid.NewString(), Time: g.options.Clock.Now()}}
	c.request = &request{Request: r, id: c.RequestID}
	c.sign, c.flaw = readSignature(r, query)
	if c.Service, c.Region = c.sign.service, c.sign.region; c.Service == "" {
		c.Service = g.guess(r, query.Get("Version"))
	}
	if c.Service == "s3" && g.options.S3 != nil {
		g.serveS3(r.Context(), w, c, began)
		return
	}
	a := g.newAnswer()
	defer g.free(a)
	g.answer(r.Context(), c, a)
	a.header.Set("X-Amzn-Requestid", c.RequestID)
	g.log(r.Context(), c, a, began)
	write(w, r, a)
}

// answer fills a with what the client gets; its status stays 0 where that is nothing.
func (g *Gateway) answer(ctx context.Context, c *call, a *answer) {
	defer func() {
		if p := recover(); p != nil {
			g.logPanic(ctx, c, p)
			g.fail(ctx, c, errPanic, a)
		}
	}()
	if err := g.attempt(ctx, c, a); err != nil {
		g.fail(ctx, c, err, a)
	}
}

func (g *Gateway) attempt(ctx context.Context, c *call, a *answer) error {
	c.endpoint = g.endpoints[c.Service]
	if c.endpoint == nil {
		c.protocol, c.model = looks(c.Request)
		if e := c.admit(ctx); e != nil {
			return e
		}
		return unknownService(c.protocol.dialect(), c.Service)
	}
	model, err := c.endpoint.model()
	if err != nil {
		return err
	}
	c.model, c.protocol = model, protocolOf(model, c.Request)
	limit := int64(maxBody)
	if c.Service == "ebs" {
		limit = maxBlock
	}
	buffer := g.newBody()
	defer g.bodies.Put(buffer)
	if err := c.read(buffer, limit); err != nil {
		return err
	}
	a.status = http.StatusOK
	return c.perform(ctx, a)
}

// read reads the body into the buffer.
func (c *call) read(buffer *bytes.Buffer, limit int64) error {
	d := c.protocol.dialect()
	if c.ContentLength > limit {
		return tooLarge(d, limit)
	}
	if c.ContentLength > 0 {
		buffer.Grow(int(c.ContentLength) + bytes.MinRead)
	}
	from, err := unpacked(c.Request)
	if err == nil {
		_, err = buffer.ReadFrom(io.LimitReader(from, limit+1))
	}
	if err != nil {
		return Errorf("SerializationException", "The body of the request could not be read: %v", err)
	}
	if int64(buffer.Len()) > limit {
		return tooLarge(d, limit)
	}
	c.body = buffer.Bytes()
	return nil
}

// unpacked returns the body; clients of CloudWatch compress it.
func unpacked(r *http.Request) (io.Reader, error) {
	if r.Header.Get("Content-Encoding") == "gzip" {
		return gzip.NewReader(r.Body)
	}
	return r.Body, nil
}

// fail turns an error into the answer of the service.
func (g *Gateway) fail(ctx context.Context, c *call, err error, a *answer) {
	a.reset()
	if errors.Is(err, ErrNoAnswer) || ctx.Err() != nil {
		a.code = "NoAnswer"
		return
	}
	if c.protocol == nil {
		c.protocol, c.model = looks(c.Request)
	}
	var e *Error
	if !errors.As(err, &e) {
		if !errors.Is(err, errPanic) {
			g.options.Log.ErrorContext(ctx, "handler failed", "service", c.Service, "operation", c.Operation, "error", err)
		}
		e = internal(c.protocol.dialect())
	}
	a.status, a.code = e.Status, e.Code
	if a.status == 0 {
		a.status = http.StatusBadRequest
	}
	c.protocol.fail(c.request, e, a)
}

// write sends the answer, or closes the connection where there is none.
func write(w http.ResponseWriter, r *http.Request, a *answer) {
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	header := w.Header()
	maps.Copy(header, a.header)
	if a.stream == nil {
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	if a.stream == nil {
		_, _ = w.Write(a.body) // the client is gone
		return
	}
	_, _ = io.Copy(w, a.stream)
}

func (g *Gateway) log(ctx context.Context, c *call, a *answer, began time.Time) {
	took := g.options.Signing.Now().Sub(began)
	g.options.Log.LogAttrs(ctx, slog.LevelInfo, "request",
		slog.String("service", c.Service), slog.String("operation", c.Operation), slog.String("account", c.Account), slog.String("region", c.Region),
		slog.Int("status", a.status), slog.String("code", a.code), slog.Float64("ms", float64(took.Microseconds())/1000))
}

// logPanic keeps where a handler has panicked.
func (g *Gateway) logPanic(ctx context.Context, c *call, p any) {
	g.options.Log.ErrorContext(ctx, "panic in a handler", "service", c.Service, "operation", c.Operation, "panic", p, "stack", string(debug.Stack()))
}

// guess is the service that a request without a readable signature means, or "".
func (g *Gateway) guess(r *http.Request, version string) string {
	target, _, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if rest, ok := strings.CutPrefix(r.URL.Path, "/service/"); ok {
		target, _, _ = strings.Cut(rest, "/")
	}
	switch {
	case target != "" || version != "":
		return g.serviceOf(target, version)
	case strings.HasPrefix(r.URL.Path, "/snapshots"):
		return "ebs"
	case r.URL.Path != "/":
		return "s3"
	}
	return ""
}

func (g *Gateway) serviceOf(target, version string) string {
	for name, e := range g.endpoints {
		model, err := e.model()
		if err == nil && (target != "" && model.Target == target || version != "" && model.Version == version) {
			return name
		}
	}
	return ""
}

func (g *Gateway) newBody() *bytes.Buffer {
	b, ok := g.bodies.Get().(*bytes.Buffer)
	if !ok {
		return &bytes.Buffer{}
	}
	b.Reset()
	return b
}

func (g *Gateway) newAnswer() *answer {
	a, ok := g.answers.Get().(*answer)
	if !ok {
		a = &answer{header: http.Header{}}
	}
	return a
}

// free keeps an answer for another request, unless it has grown large.
func (g *Gateway) free(a *answer) {
	a.reset()
	if cap(a.body) <= maxBlock {
		g.answers.Put(a)
	}
}
