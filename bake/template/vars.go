package template

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
)

const (
	opening   = "${{"
	closing   = "}}"
	envPrefix = "IIBAKE_VAR_"
)

// fill returns the text of a scalar with the variables in it filled in, and whether there were any.
func (d *decoder) fill(n *yaml.Node) (text string, filled, ok bool) {
	var out strings.Builder
	rest := n.Value
	for {
		before, after, found := strings.Cut(rest, opening)
		if !found {
			out.WriteString(rest)
			return out.String(), filled, true
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			out.WriteString(literal + opening)
			rest = after
			continue
		}
		inside, behind, closed := strings.Cut(after, closing)
		if !closed {
			d.fail(n, opening+" is never closed", "write ${{ vars.NAME }}, or $${{ for the text ${{ itself")
			return "", false, false
		}
		value, ok := d.variable(n, strings.TrimSpace(inside))
		if !ok {
			return "", false, false
		}
		out.WriteString(before + value)
		rest, filled = behind, true
	}
}

// variable returns what vars.NAME stands for.
func (d *decoder) variable(n *yaml.Node, expression string) (string, bool) {
	name, isVar := strings.CutPrefix(expression, "vars.")
	if d.vars == nil {
		d.fail(n, "${{ }} cannot be used here", "write the value itself, or $${{ for the text ${{")
		return "", false
	}
	if !isVar || d.forms.check("variable", name) != "" {
		d.fail(n, fmt.Sprintf("%s is no variable", quote(expression)), "write ${{ vars.NAME }}, or $${{ for the text ${{ itself")
		return "", false
	}
	v, ok := d.vars[name]
	switch {
	case !ok:
		d.fail(n, fmt.Sprintf("no variable is named %s", quote(name)), declareHint(name, slices.Sorted(maps.Keys(d.vars))))
	case v.Secret != nil:
		d.fail(n, fmt.Sprintf("the variable %q is a secret, which can only be the whole value of an env entry: anywhere else it would be written down", name),
			"pass it to the step as env: { TOKEN: \"${{ vars."+name+" }}\" } and use $TOKEN there")
	}
	return v.Default, ok && v.Secret == nil
}

func declareHint(name string, known []string) string {
	if best, ok := Nearest(name, known); ok {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "declare it under vars"
}

// wholeSecret returns the secret that n is a reference to, if typ is a value that can hold one.
func (d *decoder) wholeSecret(n *yaml.Node, typ reflect.Type) (*bake.Secret, bool) {
	if typ != reflect.TypeFor[bake.Value]() || n.Kind != yaml.ScalarNode || d.vars == nil {
		return nil, false
	}
	inside, opened := strings.CutPrefix(n.Value, opening)
	inside, closed := strings.CutSuffix(inside, closing)
	name, isVar := strings.CutPrefix(strings.TrimSpace(inside), "vars.")
	if !opened || !closed || !isVar || d.vars[name].Secret == nil {
		return nil, false
	}
	secret := *d.vars[name].Secret
	return &secret, true
}

// escape is the reverse of fill for a text without variables.
func escape(s string) string { return strings.ReplaceAll(s, opening, "$"+opening) }

// overrides is what the user said about variables outside of the templates, the weakest first.
type overrides []layer

// layer is one place that overrides variables.
type layer struct {
	vars   map[string]bake.Var
	pos    func(name string) bake.Position
	strict bool // a name that no template declares is an error
}

// overrides reads the options, and reports what is wrong with them.
func (l *loader) overrides(o Options) overrides {
	all := overrides{environment(o.Environ)}
	for _, file := range o.VarFiles {
		all = append(all, l.varFile(file))
	}
	given := layer{vars: map[string]bake.Var{}, strict: true, pos: func(string) bake.Position { return bake.Position{File: "--var"} }}
	for name, value := range o.Vars {
		given.vars[name] = bake.Var{Default: value}
	}
	return append(all, given)
}

func environment(environ []string) layer {
	e := layer{vars: map[string]bake.Var{}, pos: func(name string) bake.Position { return bake.Position{File: envPrefix + name} }}
	for _, entry := range environ {
		if entry, ok := strings.CutPrefix(entry, envPrefix); ok {
			name, value, _ := strings.Cut(entry, "=")
			e.vars[name] = bake.Var{Default: value}
		}
	}
	return e
}

func (l *loader) varFile(name string) layer {
	d := newDecoder(name, l.tables)
	defer l.keep(d)
	vars := map[string]bake.Var{}
	if root := d.parse(readOutside(name)); root != nil {
		d.value("", root, field{keys: "variable"}, reflect.ValueOf(&vars).Elem())
	}
	for name, v := range vars {
		if v.Secret != nil {
			v.Secret.Dir = l.dir
			vars[name] = v
		}
	}
	return layer{vars: vars, pos: func(name string) bake.Position { return d.given.at(name) }, strict: true}
}

// readOutside reads a file that the user named on the command line, from wherever it lies.
func readOutside(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, plainPathError(err)
	}
	defer func() { _ = f.Close() }()
	return readAll(f)
}

// declared decodes the variables of a template and fills in what overrides them.
func (d *decoder) declared(root *yaml.Node, dir string, o overrides) map[string]bake.Var {
	vars := map[string]bake.Var{}
	if root.Kind != yaml.MappingNode {
		return vars
	}
	for _, p := range newDecoder(d.file, d.tables).pairs(root) {
		if p.key.Value != "vars" {
			continue
		}
		fields := d.tables.of(reflect.TypeFor[bake.Template]())
		f := fields[slices.IndexFunc(fields, func(f field) bool { return f.key == "vars" })]
		d.value("vars", p.value, f, reflect.ValueOf(&vars).Elem())
	}
	d.ready = "vars"
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		vars[name] = d.override(name, vars[name], o)
	}
	for name, v := range vars {
		if v.Secret != nil {
			v.Secret.Dir = dir
			vars[name] = v
		}
	}
	return vars
}

// override returns what a declared variable is after the overrides.
func (d *decoder) override(name string, v bake.Var, o overrides) bake.Var {
	for _, l := range o {
		by, ok := l.vars[name]
		switch {
		case !ok:
		case v.Secret != nil && by.Secret == nil:
			d.failAt(l.pos(name), fmt.Sprintf("the variable %q is a secret, and a value given here would be kept in plain text", name),
				"leave it away, and put the value where the template looks for it: "+v.Secret.String())
		default:
			v = by
		}
	}
	return v
}

// unknown reports the names that no template declares. The environment is not the user's alone, so it is left out.
func (o overrides) unknown(declared []string) Errors {
	var errs Errors
	for _, l := range o {
		for _, name := range slices.Sorted(maps.Keys(l.vars)) {
			if l.strict && !slices.Contains(declared, name) {
				errs = append(errs, Error{l.pos(name), fmt.Sprintf("no template has a variable named %s", quote(name)), didYouMean(name, declared, "remove it, or declare it under vars in a template")})
			}
		}
	}
	return errs
}
