package wire

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// protocol is one way to write requests and answers of a service.
type protocol interface {
	// operation tells what is asked for; the name may be of no operation.
	operation(q *request) (name string, refused *Error)
	// decode reads the input. It refuses what has not the type of its member, or no member.
	decode(p *plan, q *request, in reflect.Value) *Error
	encode(p *plan, q *request, out reflect.Value, a *answer) error
	fail(q *request, e *Error, a *answer)
	dialect() dialect
}

// request is what a client sent.
type request struct {
	*http.Request
	id    string
	model *models.Model
	body  []byte
	form  *param // of Query protocols
}

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream io.ReadCloser // instead of body, where it is set
	code   string        // of the error, for the log
}

// reset makes an answer as good as new.
func (a *answer) reset() {
	if a.stream != nil {
		_ = a.stream.Close() // what was read of it has been sent
	}
	a.status, a.stream, a.code = 0, nil, ""
	a.body = a.body[:0]
	clear(a.header)
}

// protocolOf returns the protocol of a request to a service, from what it looks like among those that the model allows.
func protocolOf(m *models.Model, r *http.Request) protocol {
	for _, name := range m.Protocols {
		switch {
		case name == "ec2":
			return queryProtocol{ec2: true}
		case name == "rest-json":
			return restProtocol{}
		case name == "smithy-rpc-v2-cbor" && (r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" || strings.HasPrefix(r.URL.Path, "/service/")):
			return cborProtocol{}
		case name == "json" && (r.Header.Get("X-Amz-Target") != "" || len(m.Protocols) == 1):
			return jsonProtocol{}
		}
	}
	return queryProtocol{}
}

// looks returns the protocol that a request to no service of ours seems to use.
func looks(r *http.Request) (protocol, *models.Model) {
	switch {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		return cborProtocol{}, &models.Model{}
	case r.Header.Get("X-Amz-Target") != "":
		return jsonProtocol{}, &models.Model{}
	}
	return queryProtocol{}, &models.Model{}
}

// dialect is a family of error codes.
type dialect int

const (
	dialectEC2 dialect = iota
	dialectQuery
	dialectJSON
	dialectREST
	dialectS3
)

// internal is what a service says when it has failed.
func internal(d dialect) *Error {
	e := &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: "We encountered an internal error. Please try again."}
	switch d {
	case dialectEC2, dialectS3:
		e.Code = "InternalError"
	case dialectREST:
		e.Code = "InternalServerException"
	case dialectJSON:
		e.Code = "InternalServerError"
	case dialectQuery:
	}
	return e
}

// unknownOperation is what a service says of an operation that it does not have.
func unknownOperation(d dialect, name, version string) *Error {
	switch d {
	case dialectEC2:
		return Errorf("InvalidAction", "The action %s is not valid for this web service.", name)
	case dialectQuery:
		return Errorf("InvalidAction", "Could not find operation %s for version %s", name, version)
	case dialectJSON:
		return Errorf("UnknownOperationException", "")
	case dialectREST, dialectS3:
	}
	return &Error{Status: http.StatusNotFound, Code: "UnknownOperationException"}
}

// unknownService is what this cloud says of a service that it does not have.
func unknownService(d dialect, name string) *Error {
	e := unknownOperation(d, "", "")
	e.Message = fmt.Sprintf("This cloud has no service %q.", clip(name))
	return e
}

// invalid is what a service says of an input that its model forbids.
func invalid(d dialect, found []string) *Error {
	if d == dialectQuery {
		return Errorf("ValidationError", "%s", violationText(found))
	}
	return Errorf("ValidationException", "%s", violationText(found))
}

// unreadable is what a service says of a value that has not the type of its member.
func unreadable(d dialect, m *mismatch) *Error {
	switch {
	case d == dialectEC2: // inferred: no recording shows its text
		return Errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid. Expecting %s.", clip(m.value), clip(m.path), nounOf(m.kind))
	case d == dialectQuery: // inferred
		return Errorf("MalformedInput", "Value (%s) of %s can not be converted to %s", clip(m.value), clip(m.path), nounOf(m.kind))
	case m.kind == union:
		return Errorf("SerializationException", "This cloud does not model member %s", clip(m.path))
	case m.found == "unknown":
		return Errorf("SerializationException", "Unknown member %s", clip(m.path))
	case m.found == "list", m.found == "structure":
		return Errorf("SerializationException", "Start of %s found where not expected.", map[string]string{
			"list": "list", "structure": "structure or map",
		}[m.found])
	case m.kind == structure, m.kind == list, m.kind == mapping:
		return Errorf("SerializationException", "Unexpected field type")
	}
	return Errorf("SerializationException", "%s can not be converted to %s", first(m.found, "STRING_VALUE"), nounOf(m.kind))
}

func nounOf(k kind) string {
	nouns := map[kind]string{
		text: "a String", boolean: "a Boolean", integer: "an Integer", decimal: "a Float", blob: "base64", timestamp: "a timestamp",
		structure: "a structure", list: "a list", mapping: "a map",
	}
	return first(nouns[k], "a value of this cloud")
}

// tooLarge is what a service says of a body beyond its limit.
func tooLarge(d dialect, limit int64) *Error {
	e := &Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge", Message: fmt.Sprintf("Request size exceeded %d bytes", limit)}
	if d == dialectREST || d == dialectJSON {
		e.Code = "RequestEntityTooLargeException"
	}
	return e
}
