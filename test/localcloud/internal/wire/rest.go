package wire

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// restProtocol is REST-JSON: the operation stands in the method and the path, members there, in headers and in the body.
type restProtocol struct{}

func (restProtocol) dialect() dialect { return dialectREST }

func (restProtocol) operation(q *request) (string, *Error) {
	for name, op := range q.model.Operations {
		if _, ok := labels(op, q.Request); ok {
			return name, nil
		}
	}
	return "", unknownOperation(dialectREST, "", "")
}

// labels takes the values in a path, and says whether the request is of the operation.
func labels(op *models.Operation, r *http.Request) (map[string]string, bool) {
	if r.Method != op.Method {
		return nil, false
	}
	pattern, path := strings.Split(op.Path, "/"), strings.Split(r.URL.EscapedPath(), "/")
	if len(pattern) != len(path) {
		return nil, false
	}
	found := map[string]string{}
	for i, part := range pattern {
		if !strings.HasPrefix(part, "{") {
			if part != path[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(path[i])
		if err != nil || value == "" {
			return nil, false
		}
		found[strings.Trim(part, "{}")] = value
	}
	return found, true
}

func (restProtocol) decode(p *plan, q *request, in reflect.Value) *Error {
	path, _ := labels(p.model, q.Request)
	query := q.URL.Query()
	for i := range p.input.fields {
		f := &p.input.fields[i]
		var value string
		var given bool
		switch f.member.Location {
		case "uri":
			value, given = path[f.wire]
		case "querystring":
			value, given = query.Get(f.wire), query.Has(f.wire)
		case "header":
			value, given = q.Header.Get(f.wire), len(q.Header.Values(f.wire)) > 0
		}
		if given && !f.setText(settable(in.Field(f.index)), value) {
			return unreadable(dialectREST, &mismatch{path: f.wire, value: value, kind: f.kind})
		}
	}
	return restBody(p, q, in)
}

func restBody(p *plan, q *request, in reflect.Value) *Error {
	if f := p.input.streamed(); f != nil {
		in.Field(f.index).Set(reflect.ValueOf(bytes.NewBuffer(q.body)))
		return nil
	}
	return readJSON(p.input, q.body, in)
}

// streamed returns the member that is the whole body as it is, or nil.
func (n *node) streamed() *field {
	for i := range n.fields {
		if n.fields[i].kind == stream {
			return &n.fields[i]
		}
	}
	return nil
}

// Bytes returns what is left of a body that a handler got as an io.Reader. It makes no copy where the body is in memory, as all bodies of
// requests are: the bytes are then valid until the handler returns.
func Bytes(r io.Reader) ([]byte, error) {
	if b, ok := r.(*bytes.Buffer); ok {
		return b.Bytes(), nil
	}
	return io.ReadAll(r)
}

func (restProtocol) encode(p *plan, _ *request, out reflect.Value, a *answer) error {
	a.status = p.model.Status
	for i := range p.output.fields {
		f := &p.output.fields[i]
		if in, given := f.present(out.Field(f.index)); given && f.member.Location == "header" {
			a.header.Set(f.wire, f.formatText(in, false))
		}
	}
	if f := p.output.streamed(); f != nil {
		a.stream, _ = reflect.TypeAssert[io.ReadCloser](out.Field(f.index))
		a.header.Set("Content-Type", "application/octet-stream")
		if length := a.header.Get("X-Amz-Data-Length"); length != "" {
			a.header.Set("Content-Length", length)
		}
		return nil
	}
	a.header.Set("Content-Type", "application/json")
	w := jsonWriter{out: a.body, nulls: true}
	w.structure(p.output, out)
	a.body = w.out
	return nil
}

// fail writes an error of the service with a capital Message and a Reason, and one of its model or of the signature check with a small
// one and none: so were both recorded.
func (restProtocol) fail(_ *request, e *Error, a *answer) {
	kind, message := "com.amazon.coral.validate/", "message"
	if e.Reason != "" || e.Code == "ConflictException" || e.Code == "ResourceNotFoundException" {
		kind, message = "com.amazon.zeppelindataservice/", "Message"
	}
	a.header.Set("Content-Type", "application/json")
	a.header.Set("X-Amzn-Errortype", e.Code+":http://internal.amazon.com/coral/"+kind)
	if a.status == http.StatusBadRequest {
		a.header.Set("Connection", "close")
	}
	w := jsonWriter{out: a.body}
	w.put(`{"` + message + `":`)
	w.quote(e.Message)
	if e.Reason != "" {
		w.put(`,"Reason":`)
		w.quote(e.Reason)
	}
	w.put("}")
	a.body = w.out
}
