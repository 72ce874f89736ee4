package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
)

// jsonProtocol is AWS JSON 1.0 and 1.1: everything is a POST of an object to /, the operation stands in a header.
type jsonProtocol struct{}

func (jsonProtocol) dialect() dialect { return dialectJSON }

func (jsonProtocol) operation(q *request) (string, *Error) {
	name, ok := strings.CutPrefix(q.Header.Get("X-Amz-Target"), q.model.Target+".")
	if !ok {
		return "", unknownOperation(dialectJSON, "", "")
	}
	return name, nil
}

func (jsonProtocol) decode(p *plan, q *request, in reflect.Value) *Error {
	return readJSON(p.input, q.body, in)
}

// readJSON reads a body. None at all is an empty object.
func readJSON(n *node, body []byte, in reflect.Value) *Error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	v, err := parseJSON(body)
	if err != nil {
		return Errorf("SerializationException", "Could not parse the body as JSON: %v", err)
	}
	var t tree
	t.structure(n, v, in, "")
	if t.wrong != nil {
		return unreadable(dialectJSON, t.wrong)
	}
	return nil
}

func parseJSON(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the object")
	}
	return v, nil
}

func (jsonProtocol) encode(p *plan, q *request, out reflect.Value, a *answer) error {
	a.header.Set("Content-Type", jsonType(q))
	if p.model.Output == nil {
		return nil
	}
	w := jsonWriter{out: a.body}
	w.structure(p.output, out)
	a.body = w.out
	return nil
}

// jsonType is the request's version of the protocol again.
func jsonType(q *request) string {
	if t := q.Header.Get("Content-Type"); strings.HasPrefix(t, "application/x-amz-json-1.0") {
		return "application/x-amz-json-1.0"
	}
	return "application/x-amz-json-1.1"
}

func (jsonProtocol) fail(q *request, e *Error, a *answer) {
	a.header.Set("Content-Type", jsonType(q))
	queryCompatible(q, e, a)
	w := jsonWriter{out: a.body}
	w.put(`{"__type":`)
	w.quote(e.Code)
	if e.Message != "" {
		w.put(`,"message":`)
		w.quote(e.Message)
	}
	w.put("}")
	a.body = w.out
}

// queryCompatible names the error as AWS Query does too, for the services that once spoke only that: SDKs show this code.
func queryCompatible(q *request, e *Error, a *answer) {
	if len(q.model.Protocols) < 2 {
		return
	}
	a.header.Set("X-Amzn-Query-Error", queryCode(q, e.Code)+";"+faultOf(a.status))
}

// queryCode is the code that an error has in AWS Query: CloudWatch, which speaks other protocols too, names errors by their shapes.
func queryCode(q *request, shape string) string {
	if len(q.model.Protocols) < 2 {
		return shape
	}
	switch shape {
	case "ValidationException":
		return "ValidationError"
	case "MissingRequiredParameterException":
		return "MissingParameter"
	case "InvalidParameterValueException", "InvalidParameterCombinationException":
		return strings.TrimSuffix(shape, "Exception")
	case "InvalidFormatFault", "LimitExceededFault":
		return strings.TrimSuffix(shape, "Fault")
	}
	return shape
}
