package template

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

const maxMerges = 16 // merge keys within what merge keys bring in

type pair struct{ key, value *yaml.Node }

// pairs returns the entries of a mapping with those that merge keys bring in, each key once.
func (d *decoder) pairs(n *yaml.Node) []pair {
	var pairs []pair
	seen := map[string]*yaml.Node{}
	d.own(n, func(key, value *yaml.Node) {
		if first, ok := seen[key.Value]; ok {
			d.fail(key, fmt.Sprintf("the key %s is here twice, first in line %d", quote(key.Value), first.Line), "remove one of them")
			return
		}
		seen[key.Value] = key
		pairs = append(pairs, pair{key, value})
	})
	d.merged(n, 0, func(key, value *yaml.Node) {
		if _, ok := seen[key.Value]; !ok {
			seen[key.Value] = key
			pairs = append(pairs, pair{key, value})
		}
	})
	return pairs
}

// own calls add for the entries that stand in n itself. A key that is an alias has its place where it is used: there it may be wrong.
func (d *decoder) own(n *yaml.Node, add func(key, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, ok := d.follow(n.Content[i])
		if !ok {
			return
		}
		key = placed(key, n.Content[i])
		switch {
		case isMerge(key):
		case key.Kind != yaml.ScalarNode || isNull(key):
			d.fail(key, "this key is no plain text", "write key: value")
		default:
			add(key, n.Content[i+1])
		}
	}
}

// merged calls add for what the merge keys of n bring in, the stronger first.
func (d *decoder) merged(n *yaml.Node, depth int, add func(key, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		value, ok := d.follow(n.Content[i+1])
		if !ok {
			return
		}
		from := []*yaml.Node{n.Content[i+1]}
		if value.Kind == yaml.SequenceNode {
			from = value.Content
		}
		for _, use := range from {
			m, ok := d.follow(use)
			if !ok {
				return
			}
			if m.Kind != yaml.MappingNode || depth == maxMerges {
				d.fail(use, "<< does not stand for a mapping", "write <<: *anchor, with the anchor at a mapping")
				return
			}
			d.own(m, add)
			d.merged(m, depth+1, add)
		}
	}
}

// placed returns a node as it stands at another one.
func placed(n, at *yaml.Node) *yaml.Node {
	if n == at {
		return n
	}
	copied := *n
	copied.Line, copied.Column = at.Line, at.Column
	return &copied
}

func isMerge(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" }
