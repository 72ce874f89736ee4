// Package models holds the models of the AWS services that the cloud speaks: their operations, the shapes of inputs and outputs, names on
// the wire and constraints. They are botocore's, pruned by prune.py to the operations that operations.txt lists.
package models

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed *.json
var files embed.FS

// Model is one service.
type Model struct {
	Protocols  []string              // as botocore names them; what clients of today prefer comes first
	Version    string                // of the API, such as 2016-11-15
	Target     string                // what precedes the operation in X-Amz-Target and in the paths of RPC v2
	Namespace  string                // of XML answers
	Operations map[string]*Operation // by name
}

// Operation is one operation of a service.
type Operation struct {
	Name          string
	Method, Path  string // of REST protocols
	Status        int    // of a good answer
	Input, Output *Shape // nil where there is none
}

// Shape is a type of the model.
type Shape struct {
	Name            string   `json:"-"`
	Type            string   `json:"type"` // structure, list, map, string, integer, long, float, double, boolean, blob, timestamp
	Required        []string `json:"required"`
	Enum            []string `json:"enum"`
	Min             *float64 `json:"min"` // of the value, or the length
	Max             *float64 `json:"max"`
	Pattern         string   `json:"pattern"`
	Flattened       bool     `json:"flattened"`
	TimestampFormat string   `json:"timestampFormat"`
	Payload         string   `json:"payload"` // the member that is the body
	Streaming       bool     `json:"streaming"`
	Union           bool     `json:"union"`
	Members         []Member `json:"members"` // of a structure, in the order of the model
	Elem            *Member  `json:"member"`  // of a list
	Key             *Member  `json:"key"`     // of a map
	Value           *Member  `json:"value"`
}

// Member is a use of a shape: by a structure, a list or a map.
type Member struct {
	Name            string `json:"name"`
	LocationName    string `json:"locationName"` // on the wire, where it is not Name
	QueryName       string `json:"queryName"`    // in requests of EC2, where it is not LocationName
	Location        string `json:"location"`     // uri, querystring, header or, empty, the body
	Flattened       bool   `json:"flattened"`
	Streaming       bool   `json:"streaming"`
	TimestampFormat string `json:"timestampFormat"`
	ShapeName       string `json:"shape"`
	Shape           *Shape `json:"-"`
}

// Load returns the model of a service by the name in its clients' signatures.
func Load(service string) (*Model, error) {
	text, err := files.ReadFile(service + ".json")
	if err != nil {
		return nil, fmt.Errorf("no model of service %q: %w", service, err)
	}
	model, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("model of %s: %w", service, err)
	}
	return model, nil
}

// file is a model as it is stored.
type file struct {
	Metadata struct {
		Protocols    []string `json:"protocols"`
		APIVersion   string   `json:"apiVersion"`
		TargetPrefix string   `json:"targetPrefix"`
		XMLNamespace string   `json:"xmlNamespace"`
	} `json:"metadata"`
	Operations map[string]struct {
		Method string `json:"method"`
		Path   string `json:"path"`
		Status int    `json:"status"`
		Input  string `json:"input"`
		Output string `json:"output"`
	} `json:"operations"`
	Shapes map[string]*Shape `json:"shapes"`
}

func parse(text []byte) (*Model, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	for name, shape := range f.Shapes {
		if err := link(f.Shapes, name, shape); err != nil {
			return nil, err
		}
	}
	m := &Model{
		Protocols: f.Metadata.Protocols, Version: f.Metadata.APIVersion, Target: f.Metadata.TargetPrefix,
		Namespace: f.Metadata.XMLNamespace, Operations: map[string]*Operation{},
	}
	for name, op := range f.Operations {
		m.Operations[name] = &Operation{
			Name: name, Method: op.Method, Path: op.Path, Status: op.Status,
			Input: f.Shapes[op.Input], Output: f.Shapes[op.Output],
		}
	}
	return m, nil
}

// link names a shape and points its references to theirs.
func link(shapes map[string]*Shape, name string, s *Shape) error {
	s.Name = name
	references := []*Member{s.Elem, s.Key, s.Value}
	for i := range s.Members {
		references = append(references, &s.Members[i])
	}
	for _, r := range references {
		if r == nil {
			continue
		}
		if r.Shape = shapes[r.ShapeName]; r.Shape == nil {
			return fmt.Errorf("shape %s refers to %s, which is not there", name, r.ShapeName)
		}
	}
	return nil
}
