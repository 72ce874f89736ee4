package wire

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a form may be at most. AWS documents no numbers; these are far beyond what its clients send.
const (
	maxParams = 20000
	maxDepth  = 32
)

// errForm is a form that cannot be parsed.
var errForm = errors.New("malformed query string")

// param is one node of the tree that the names of a form make: Filter.1.Value.2 is four levels below the root.
type param struct {
	value    string
	given    bool // a value stands here, as opposed to further below
	used     bool
	children map[string]*param
}

// parseParams reads forms, of a URL and of a body.
func parseParams(forms ...string) (*param, error) {
	root := &param{}
	count := 0
	for _, form := range forms {
		for pair := range strings.SplitSeq(form, "&") {
			if pair == "" {
				continue
			}
			if count++; count > maxParams {
				return nil, errForm
			}
			if err := root.add(pair); err != nil {
				return nil, err
			}
		}
	}
	return root, nil
}

func (p *param) add(pair string) error {
	name, value, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(name)
	if err != nil {
		return errForm
	}
	if value, err = url.QueryUnescape(value); err != nil {
		return errForm
	}
	if strings.Count(name, ".") >= maxDepth || !utf8.ValidString(name) || !utf8.ValidString(value) {
		return errForm
	}
	for part := range strings.SplitSeq(name, ".") {
		p = p.child(part)
	}
	p.value, p.given = value, true
	return nil
}

func (p *param) child(name string) *param {
	c := p.children[name]
	if c == nil {
		c = &param{}
		if p.children == nil {
			p.children = map[string]*param{}
		}
		p.children[name] = c
	}
	return c
}

// text takes the value of a top-level parameter, or "".
func (p *param) text(name string) string {
	c := p.children[name]
	if c == nil {
		return ""
	}
	c.used = true
	return c.value
}

// numbered returns the children whose names are numbers, in the order of these.
func (p *param) numbered() []numbered {
	found := make([]numbered, 0, len(p.children))
	for name, c := range p.children {
		if n, err := strconv.Atoi(name); err == nil && n >= 0 {
			found = append(found, numbered{n, name, c})
		}
	}
	slices.SortFunc(found, func(a, b numbered) int { return cmp.Or(cmp.Compare(a.n, b.n), cmp.Compare(a.name, b.name)) })
	return found
}

type numbered struct {
	n    int
	name string
	*param
}

// unused returns the name of a value that nobody took, the first one by the alphabet.
func (p *param) unused() (name string, found bool) {
	if p.given && !p.used {
		return "", true
	}
	for child, c := range p.children {
		below, ok := c.unused()
		if !ok {
			continue
		}
		if below = strings.TrimSuffix(child+"."+below, "."); !found || below < name {
			name, found = below, true
		}
	}
	return name, found
}
