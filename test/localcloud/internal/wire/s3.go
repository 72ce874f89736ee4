package wire

import (
	"context"
	"net/http"
	"reflect"
	"time"
)

// s3Protocol writes S3's errors; requests to S3 are handed over as they are.
type s3Protocol struct{}

func (s3Protocol) dialect() dialect { return dialectS3 }

func (s3Protocol) operation(*request) (string, *Error) {
	return "", unknownOperation(dialectS3, "", "")
}

func (s3Protocol) decode(*plan, *request, reflect.Value) *Error { return internal(dialectS3) }

func (s3Protocol) encode(*plan, *request, reflect.Value, *answer) error { return nil }

func (s3Protocol) fail(q *request, e *Error, a *answer) {
	a.header.Set("Content-Type", "application/xml")
	a.header.Set("X-Amz-Request-Id", q.id)
	if q.Method == http.MethodHead {
		return
	}
	w := xmlWriter{out: a.body}
	w.put(`<?xml version="1.0" encoding="UTF-8"?>`, "\n<Error>")
	w.leaf("Code", e.Code)
	w.leaf("Message", e.Message)
	w.leaf("RequestId", q.id)
	w.close("Error")
	a.body = w.out
}

// serveS3 hands a request of a known caller to Options.S3. An Interceptor may refuse it before, its operation is the HTTP method; there is no
// After, because the answer is on its way by then.
func (g *Gateway) serveS3(ctx context.Context, w http.ResponseWriter, c *call, began time.Time) {
	c.protocol, c.Operation = s3Protocol{}, c.Method
	a := g.newAnswer()
	defer g.free(a)
	err := c.admitS3(ctx)
	if err != nil {
		g.fail(ctx, c, err, a)
		g.log(ctx, c, a, began)
		write(w, c.Request, a)
		return
	}
	watched := &watch{ResponseWriter: w}
	defer func() {
		if p := recover(); p != nil {
			g.logPanic(ctx, c, p)
			panic(http.ErrAbortHandler) // some of the answer may have been sent
		}
		a.status = watched.status
		g.log(ctx, c, a, began)
	}()
	w.Header().Set("X-Amz-Request-Id", c.RequestID)
	g.options.S3.ServeHTTP(watched, c.WithContext(context.WithValue(ctx, callKey{}, c.Call)))
}

func (c *call) admitS3(ctx context.Context) error {
	if e := c.admit(ctx); e != nil {
		return e
	}
	if i := c.gateway.options.Interceptor; i != nil {
		return i.Before(ctx, c.Call)
	}
	return nil
}

// watch sees the status of an answer.
type watch struct {
	http.ResponseWriter
	status int
}

// WriteHeader passes the status on.
func (w *watch) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write passes b on. Without a status before, it is 200.
func (w *watch) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *watch) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type callKey struct{}

// CallOf returns the call that the gateway made of a request it handed to Options.S3: who asks, in which region. It is nil in
// the context of other requests.
func CallOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}
