package wire

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// cborProtocol is Smithy RPC v2 with CBOR: POST /service/NAME/operation/NAME.
type cborProtocol struct{}

func (cborProtocol) dialect() dialect { return dialectJSON }

func (cborProtocol) operation(q *request) (string, *Error) {
	name, ok := strings.CutPrefix(q.URL.Path, "/service/"+q.model.Target+"/operation/")
	if !ok || q.Method != http.MethodPost {
		return "", unknownOperation(dialectREST, "", "")
	}
	return name, nil
}

func (cborProtocol) decode(p *plan, q *request, in reflect.Value) *Error {
	if len(q.body) == 0 {
		return nil
	}
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any](), MaxNestedLevels: maxDepth}.DecMode()
	if err != nil {
		return internal(dialectJSON)
	}
	var v any
	if err := mode.Unmarshal(q.body, &v); err != nil {
		return Errorf("SerializationException", "Could not parse the body as CBOR: %v", err)
	}
	var t tree
	t.structure(p.input, v, in, "")
	if t.wrong != nil {
		return unreadable(dialectJSON, t.wrong)
	}
	return nil
}

func (cborProtocol) encode(p *plan, _ *request, out reflect.Value, a *answer) error {
	cborHeader(a)
	if p.model.Output == nil {
		return nil
	}
	b, err := cbor.Marshal(p.output.toCBOR(out))
	a.body = append(a.body, b...)
	return err
}

func cborHeader(a *answer) {
	a.header.Set("Content-Type", "application/cbor")
	a.header.Set("Smithy-Protocol", "rpc-v2-cbor")
}

// toCBOR returns a value as the encoder takes it.
func (n *node) toCBOR(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch n.kind {
	case structure:
		made := make(map[string]any, len(n.fields))
		for i := range n.fields {
			if in, ok := n.fields[i].present(v.Field(n.fields[i].index)); ok {
				made[n.fields[i].wire] = n.fields[i].toCBOR(in)
			}
		}
		return made
	case list:
		made := make([]any, v.Len())
		for i := range made {
			made[i] = n.elem.toCBOR(v.Index(i))
		}
		return made
	case mapping:
		made := make(map[string]any, v.Len())
		for _, key := range v.MapKeys() {
			made[key.String()] = n.elem.toCBOR(v.MapIndex(key))
		}
		return made
	case timestamp:
		return cbor.Tag{Number: 1, Content: float64(timeOf(v).UnixMilli()) / 1000}
	case text:
		return v.String()
	case boolean, integer, decimal, blob, stream, union:
	}
	return v.Interface()
}

func (cborProtocol) fail(q *request, e *Error, a *answer) {
	cborHeader(a)
	queryCompatible(q, e, a)
	b, err := cbor.Marshal(map[string]string{"__type": "com.amazonaws.cloudwatch#" + e.Code, "message": e.Message})
	if err == nil {
		a.body = append(a.body, b...)
	}
}
