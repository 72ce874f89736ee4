package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// check holds an input against the model's constraints. EC2 knows of these only what is required.
func check(d dialect, p *plan, in reflect.Value) *Error {
	if d == dialectEC2 {
		if name := missing(p.input, in); name != "" {
			return Errorf("MissingParameter", "The request must contain the parameter %s", name)
		}
		return nil
	}
	if found := violations(p.input, in); len(found) > 0 {
		return invalid(d, found)
	}
	return nil
}

// violations checks a decoded input against the constraints of the model and returns what most services of AWS say of each.
func violations(n *node, v reflect.Value) []string {
	var c checker
	c.structure(n, v, "")
	return c.found
}

// missing returns the wire name of the first required parameter of EC2 that was not given. A structure counts as given: an empty one
// cannot be told from none in its protocol.
func missing(n *node, v reflect.Value) string {
	for i := range n.fields {
		f := &n.fields[i]
		in, given := f.present(v.Field(f.index))
		switch {
		case f.required && !given && f.kind != structure:
			return f.query
		case given && f.kind == structure:
			if name := missing(f.node, in); name != "" {
				return f.query + "." + name
			}
		}
	}
	return ""
}

// checker walks an input.
type checker struct{ found []string }

func (c *checker) structure(n *node, v reflect.Value, path string) {
	for i := range n.fields {
		f := &n.fields[i]
		in, given := f.present(v.Field(f.index))
		at := join(path, lower(f.member.Name))
		switch {
		case given:
			c.value(f.node, in, at)
		case f.required:
			c.violation("null", at, "Member must not be null")
		}
	}
}

func (c *checker) value(n *node, v reflect.Value, path string) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch n.kind {
	case structure:
		c.structure(n, v, path)
	case list:
		c.length(n, v.Len(), v, path)
		for i := range v.Len() {
			c.value(n.elem, v.Index(i), path+"."+strconv.Itoa(i+1)+".member")
		}
	case mapping:
		c.length(n, v.Len(), v, path)
	case text:
		c.text(n, v.String(), v, path)
	case integer:
		c.bounds(n, float64(v.Int()), v, path)
	case decimal:
		c.bounds(n, v.Float(), v, path)
	case blob:
		c.length(n, v.Len(), v, path)
	case boolean, stream, timestamp, union:
	}
}

func (c *checker) text(n *node, s string, v reflect.Value, path string) {
	c.length(n, len(utf16.Encode([]rune(s))), v, path)
	if len(n.shape.Enum) > 0 && !slices.Contains(n.shape.Enum, s) {
		c.violation(quote(v), path, "Member must satisfy enum value set: ["+strings.Join(n.shape.Enum, ", ")+"]")
	}
	if n.pattern != nil {
		if p := n.pattern(); p != nil && !p.MatchString(s) {
			c.violation(quote(v), path, "Member must satisfy regular expression pattern: "+n.shape.Pattern)
		}
	}
}

func (c *checker) length(n *node, length int, v reflect.Value, path string) {
	if n.shape.Min != nil && float64(length) < *n.shape.Min {
		c.violation(quote(v), path, fmt.Sprintf("Member must have length greater than or equal to %.0f", *n.shape.Min))
	}
	if n.shape.Max != nil && float64(length) > *n.shape.Max {
		c.violation(quote(v), path, fmt.Sprintf("Member must have length less than or equal to %.0f", *n.shape.Max))
	}
}

func (c *checker) bounds(n *node, value float64, v reflect.Value, path string) {
	if n.shape.Min != nil && value < *n.shape.Min {
		c.violation(quote(v), path, fmt.Sprintf("Member must have value greater than or equal to %.0f", *n.shape.Min))
	}
	if n.shape.Max != nil && value > *n.shape.Max {
		c.violation(quote(v), path, fmt.Sprintf("Member must have value less than or equal to %.0f", *n.shape.Max))
	}
}

// violation notes one more, up to ten: an answer must not grow faster than its request.
func (c *checker) violation(value, path, constraint string) {
	if len(c.found) == 10 {
		return
	}
	c.found = append(c.found, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, path, constraint))
}

// quote is how an error shows a value. Lists look as in Java; structures in them are not spelt out.
func quote(v reflect.Value) string {
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.String {
		return "'" + clip(fmt.Sprint(scalarOf(v))) + "'"
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = v.Index(i).String()
	}
	return "'[" + clip(strings.Join(items, ", ")) + "]'"
}

func scalarOf(v reflect.Value) any {
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Float32, reflect.Float64:
		return v.Float()
	}
	return "[...]"
}

// violationText counts the violations as AWS does.
func violationText(found []string) string {
	noun := "errors"
	if len(found) == 1 {
		noun = "error"
	}
	return fmt.Sprintf("%d validation %s detected: %s", len(found), noun, strings.Join(found, "; "))
}

// compile translates a pattern of the models, written for Java, where it has to match the whole text. It returns nil, which checks nothing,
// for one that Go cannot say.
func compile(pattern string) *regexp.Regexp {
	pattern = strings.ReplaceAll(pattern, `\uD800\uDC00-\uDBFF\uDFFF`, `\x{10000}-\x{10FFFF}`)
	pattern = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`).ReplaceAllString(pattern, `\x{$1}`)
	compiled, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil
	}
	return compiled
}
