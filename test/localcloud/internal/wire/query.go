package wire

import (
	"reflect"
	"strings"
)

// formReader decodes the parameters of both Query protocols.
type formReader struct {
	ec2   bool // EC2: lists are always flat, names have capitals
	wrong *mismatch
}

// structure reads the members of a structure from below p.
func (r *formReader) structure(n *node, p *param, dst reflect.Value, path string) {
	for i := range n.fields {
		f := &n.fields[i]
		name := f.wire
		if r.ec2 {
			name = f.query
		}
		if c := p.children[name]; c != nil {
			r.value(f.node, f.member.Flattened, c, dst.Field(f.index), join(path, name))
		}
	}
	for _, name := range n.hidden {
		p.text(name)
	}
}

func (r *formReader) value(n *node, flattened bool, p *param, dst reflect.Value, path string) {
	switch n.kind {
	case structure:
		p.used = true
		r.structure(n, p, settable(dst), path)
	case list:
		r.list(n, flattened || n.shape.Flattened, p, dst, path)
	case mapping:
		r.mapping(n, flattened || n.shape.Flattened, p, dst, path)
	case union, stream:
		// Left unused: the parameter is refused as unknown.
	case text, boolean, integer, decimal, blob, timestamp:
		r.scalar(n, p, dst, path)
	}
}

func (r *formReader) scalar(n *node, p *param, dst reflect.Value, path string) {
	if !p.given {
		return // a structure where a scalar belongs: what is below is refused as unknown
	}
	p.used = true
	if to := settable(dst); (!n.setText(to, p.value) || !n.finite(to)) && r.wrong == nil {
		r.wrong = &mismatch{path: path, value: p.value, kind: n.kind}
	}
}

// list reads Name.1, Name.2, or Name.member.1. An empty value for the whole is an empty list.
func (r *formReader) list(n *node, flattened bool, p *param, dst reflect.Value, path string) {
	p.used = p.used || p.value == ""
	if !r.ec2 && !flattened {
		name := first(n.item, "member")
		if p, path = p.children[name], join(path, name); p == nil {
			dst.Set(reflect.MakeSlice(n.typ, 0, 0))
			return
		}
	}
	items := p.numbered()
	made := reflect.MakeSlice(n.typ, len(items), len(items))
	for i, item := range items {
		r.value(n.elem, false, item.param, made.Index(i), join(path, item.name))
	}
	dst.Set(made)
}

// mapping reads Name.entry.1.key and Name.entry.1.value.
func (r *formReader) mapping(n *node, flattened bool, p *param, dst reflect.Value, path string) {
	p.used = p.used || p.value == ""
	made := reflect.MakeMap(n.typ)
	dst.Set(made)
	if !flattened {
		if p, path = p.children["entry"], join(path, "entry"); p == nil {
			return
		}
	}
	key, value := first(n.shape.Key.LocationName, "key"), first(n.shape.Value.LocationName, "value")
	for _, entry := range p.numbered() {
		k := entry.text(key)
		v := reflect.New(n.typ.Elem()).Elem()
		if c := entry.children[value]; c != nil {
			r.value(n.elem, false, c, v, join(path, entry.name+"."+value))
		}
		made.SetMapIndex(reflect.ValueOf(k).Convert(n.typ.Key()), v)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// takeCommon marks the parameters that every request may have.
func takeCommon(p *param) {
	for name, c := range p.children {
		switch name {
		case "Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SecurityToken", "Timestamp", "Expires":
			c.used = true
		default:
			if strings.HasPrefix(strings.ToLower(name), "x-amz-") {
				c.used = true
			}
		}
	}
}

// queryProtocol is AWS Query, and EC2's own form of it.
type queryProtocol struct{ ec2 bool }

func (p queryProtocol) dialect() dialect {
	if p.ec2 {
		return dialectEC2
	}
	return dialectQuery
}

func (p queryProtocol) operation(q *request) (string, *Error) {
	form, err := parseParams(q.URL.RawQuery, string(q.body))
	if err != nil {
		return "", Errorf("MalformedQueryString", "The query string contains a syntax error.")
	}
	q.form = form
	takeCommon(form)
	name, version := form.text("Action"), form.text("Version")
	switch {
	case name == "" && p.ec2:
		return "", Errorf("MissingParameter", "The request must contain the parameter Action")
	case name == "":
		return "", Errorf("MissingAction", "The request is missing an action or a required parameter.")
	case version != "" && version != q.model.Version && p.ec2:
		return "", Errorf("NoSuchVersion", "The requested version (%s) of service AmazonEC2 does not exist", clip(version))
	case version != "" && version != q.model.Version:
		return "", unknownOperation(dialectQuery, clip(name), clip(version))
	}
	return name, nil
}

func (p queryProtocol) decode(pl *plan, q *request, in reflect.Value) *Error {
	r := formReader{ec2: p.ec2}
	r.structure(pl.input, q.form, in, "")
	if r.wrong != nil {
		return unreadable(p.dialect(), r.wrong)
	}
	if name, found := q.form.unused(); found {
		return p.unknownParameter(name)
	}
	return nil
}

// unknownParameter refuses what the model does not have. Of the services only EC2 does; but what is new to this cloud and not to the
// client must not be taken for done.
func (p queryProtocol) unknownParameter(name string) *Error {
	if p.ec2 {
		return Errorf("UnknownParameter", "The parameter %s is not recognized", clip(name))
	}
	return Errorf("InvalidQueryParameter", "The parameter %s is not recognized", clip(name))
}

func (p queryProtocol) encode(pl *plan, q *request, out reflect.Value, a *answer) error {
	w := xmlWriter{out: a.body, ec2: p.ec2}
	a.header.Set("Content-Type", p.contentType())
	root := pl.model.Name + "Response"
	w.put(`<?xml version="1.0" encoding="UTF-8"?>`, "\n", "<", root, ` xmlns="`, q.model.Namespace)
	if p.ec2 {
		w.put(`/">`) // the models leave the slash out
		w.leaf("requestId", q.id)
		if pl.model.Output == nil {
			w.leaf("return", "true")
		}
		w.structure(pl.output, out)
	} else {
		w.put(`">`)
		if pl.model.Output != nil {
			w.open(pl.model.Name + "Result")
			w.structure(pl.output, out)
			w.close(pl.model.Name + "Result")
		}
		w.open("ResponseMetadata")
		w.leaf("RequestId", q.id)
		w.close("ResponseMetadata")
	}
	w.close(root)
	a.body = w.out
	return nil
}

func (p queryProtocol) fail(q *request, e *Error, a *answer) {
	w := xmlWriter{out: a.body, ec2: p.ec2}
	w.put(`<?xml version="1.0" encoding="UTF-8"?>`, "\n")
	a.header.Set("Content-Type", p.contentType())
	if p.ec2 {
		w.put("<Response><Errors><Error>")
		w.leaf("Code", e.Code)
		w.leaf("Message", e.Message)
		w.put("</Error></Errors>")
		w.leaf("RequestID", q.id)
		w.close("Response")
	} else {
		w.put(`<ErrorResponse xmlns="`, q.model.Namespace, `"><Error>`)
		w.leaf("Type", faultOf(a.status))
		w.leaf("Code", queryCode(q, e.Code))
		w.leaf("Message", e.Message)
		w.close("Error")
		w.leaf("RequestId", q.id)
		w.close("ErrorResponse")
	}
	a.body = w.out
}

func (p queryProtocol) contentType() string {
	if p.ec2 {
		return "text/xml;charset=UTF-8"
	}
	return "text/xml"
}

// faultOf says whose fault an error is.
func faultOf(status int) string {
	if status >= 500 {
		return "Receiver"
	}
	return "Sender"
}
