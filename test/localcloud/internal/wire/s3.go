package wire

import (
	"context"
	"net/http"
	"reflect"
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
	w := xmlWriter{Buffer: &a.body}
	w.put(`<?xml version="1.0" encoding="UTF-8"?>`, "\n<Error>")
	w.leaf("Code", e.Code)
	w.leaf("Message", e.Message)
	w.leaf("RequestId", q.id)
	w.close("Error")
}

type callKey struct{}

// CallOf returns the call that the gateway made of a request it handed to Options.S3: who asks, in which region. It is nil in
// the context of other requests.
func CallOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}
