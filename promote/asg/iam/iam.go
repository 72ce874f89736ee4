// Package iam knows which permissions each verb needs in an account: the least with which it works. A test compares the list with the calls
// that the verbs make.
package iam

import (
	"fmt"
	"maps"
	"slices"

	"github.com/iibake/iibake/bake"
)

// Verb is what somebody wants to do.
type Verb string

// The verbs that ask AWS for something. Others (pause, approve, channels) only need the catalog.
const (
	Publish  Verb = "publish" // build --publish and gc --cloud need the same
	Promote  Verb = "promote" // watch and resume carry on promotions, and need the same
	Rollback Verb = "rollback"
	Drill    Verb = "drill"
	Status   Verb = "status" // revoke looks at the fleets in the same way
)

// Verbs returns all verbs.
func Verbs() []Verb { return []Verb{Publish, Promote, Rollback, Drill, Status} }

// Permission is something that a role must be allowed to do.
type Permission struct {
	Action   string
	On       []string                     // ARNs with * in them; empty: actions that look have no resource
	Uncalled string                       // why there is no call of this name in a run; empty where there is
	when     map[string]map[string]string // condition of the statement
}

// part is permissions that go together, and the statement's name.
type part struct {
	name        string
	permissions []Permission
}

// Of returns the permissions that verbs need, each once, in the order of their names.
func Of(verbs ...Verb) ([]Permission, error) {
	all := map[string]Permission{}
	parts, err := partsOf(verbs)
	for _, p := range parts {
		for _, permission := range p.permissions {
			if known, ok := all[permission.Action]; ok && known.Uncalled == "" {
				continue // one that is used in each run counts
			}
			all[permission.Action] = permission
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Permission) int {
		if a.Action < b.Action {
			return -1
		}
		return 1
	}), err
}

// partsOf returns the parts of verbs, each once.
func partsOf(verbs []Verb) ([]part, error) {
	var all []part
	add := func(parts ...part) {
		for _, p := range parts {
			if !slices.ContainsFunc(all, func(known part) bool { return known.name == p.name }) {
				all = append(all, p)
			}
		}
	}
	for _, v := range verbs {
		switch v {
		case Publish:
			add(uploads(), registers(), shares(), encrypts())
		case Promote, Rollback:
			add(uploads(), registers(), shares(), encrypts(), looks(), stages(), refreshes(), launches(), aliases())
		case Drill:
			add(looks())
		case Status:
			add(surveys())
		default:
			return nil, fmt.Errorf("%w verb %s: want one of %v", bake.ErrInvalid, v, Verbs())
		}
	}
	return all, nil
}

// Document is a policy as IAM reads it.
type Document struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows actions on resources.
type Statement struct {
	Sid       string                       `json:"Sid"`
	Effect    string                       `json:"Effect"`
	Action    []string                     `json:"Action"`
	Resource  []string                     `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

// Policy returns the policy that allows verbs, and nothing else.
func Policy(verbs ...Verb) (Document, error) {
	d := Document{Version: "2012-10-17"}
	parts, err := partsOf(verbs)
	for _, p := range parts {
		d.Statement = append(d.Statement, p.statements()...)
	}
	return d, err
}

// statements returns a part as one statement for each set of resources and conditions.
func (p part) statements() []Statement {
	var all []Statement
	for _, permission := range p.permissions {
		on := permission.On
		if len(on) == 0 {
			on = []string{"*"}
		}
		i := slices.IndexFunc(all, func(s Statement) bool {
			return slices.Equal(s.Resource, on) && maps.EqualFunc(s.Condition, permission.when, maps.Equal)
		})
		if i < 0 {
			i = len(all)
			all = append(all, Statement{Sid: fmt.Sprintf("%s%d", p.name, i+1), Effect: "Allow", Resource: on, Condition: permission.when})
		}
		all[i].Action = append(all[i].Action, permission.Action)
	}
	return all
}
