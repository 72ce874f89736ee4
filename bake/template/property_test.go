package template_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

// garden is the project of testdata/show/everything.txtar on disk, of whose files one is written anew again and again.
type garden struct {
	dir   string
	files map[string]string
}

func newGarden(t *testing.T) garden {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/show/everything.txtar")
	if err != nil {
		t.Fatal(err)
	}
	g := garden{t.TempDir(), map[string]string{}}
	for _, f := range archive.Files[:len(archive.Files)-1] {
		g.files[f.Name] = string(f.Data)
		write(t, g.dir, f.Name, string(f.Data))
	}
	return g
}

// with loads the project with another content of one file.
func (g garden) with(t interface{ Fatal(args ...any) }, name, content string) (*template.Project, error) {
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return template.Load(g.dir, template.Options{})
}

// restore writes a file as it was.
func (g garden) restore(t *testing.T, name string) {
	t.Helper()
	if _, err := g.with(t, name, g.files[name]); err != nil {
		t.Fatal(err)
	}
}

// The files of the garden that are changed below.
const (
	ofProject  = "iibake.yaml"
	ofTemplate = "images/base.yaml"
)

// lines splits a file as YAML and editors do.
func lines(content string) []string {
	content = strings.TrimPrefix(content, "\ufeff")
	return regexp.MustCompile("\r\n|\n|\r|\u0085|\u2028|\u2029").Split(content, -1)
}

// inside reports whether a place lies in a file, or right behind the end of one of its lines.
func inside(content string, pos bake.Position) bool {
	all := lines(content)
	return pos.Line >= 1 && pos.Line <= len(all) && pos.Column >= 1 && pos.Column <= 1+utf8.RuneCountInString(all[pos.Line-1])
}

// checkPlaces checks that every error has a hint, and a place that the user can go to.
func checkPlaces(t *rapid.T, err error, name, content string) {
	var list template.Errors
	if !errors.As(err, &list) || len(list) == 0 {
		t.Fatalf("error %T %v: want Errors", err, err)
	}
	for _, e := range list {
		if e.Text == "" || e.Hint == "" || !utf8.ValidString(e.Error()) || strings.ContainsAny(e.Error(), "\n\r\x00\x1b") {
			t.Fatalf("%q: want one line with a text and a hint", e.Error())
		}
		if e.Pos.File == name && !inside(content, e.Pos) {
			t.Fatalf("%s is outside of the file:\n%q", e, content)
		}
	}
}

// damage changes a text somewhere, as slips, bad merges, other editors and other programs do.
func damage(t *rapid.T, text string) string {
	pieces := []string{
		"\t", "\r", "\r\n", "\n", "\n\n", " ", "  ", ":", ": ", "-", "- ", "{", "}", "[", "]", ",", "&a ", "*a", "<<: ", "!!int ", "!x ", "|", ">-", "'", `"`, "#", " #", "~",
		"${{", "}}", "$", "\ufeff", "\u0085", "\u2028", "é", "日本", "\U0001f642", "\x00", "\x01", "\x7f", "\xff", `\`, "%", "@", "`", "---\n", "...\n", "? ", "1", "0x1", "-1", "1e9",
		"null", "true", ".inf", "2026-01-01", "version: 1\n", "name: x\n", "steps:\n", "\nvars: { a: 1 }\n", "*install", "<<: *install",
	}
	at := rapid.IntRange(0, len(text)).Draw(t, "at")
	end := min(len(text), at+rapid.IntRange(0, 12).Draw(t, "length"))
	switch rapid.SampledFrom([]string{"insert", "insert", "replace", "delete", "double", "cut", "swap"}).Draw(t, "how") {
	case "insert":
		return text[:at] + rapid.SampledFrom(pieces).Draw(t, "piece") + text[at:]
	case "replace":
		return text[:at] + rapid.SampledFrom(pieces).Draw(t, "piece") + text[end:]
	case "delete":
		return text[:at] + text[end:]
	case "double":
		return text[:end] + text[at:]
	case "cut":
		return text[:at]
	}
	all := strings.SplitAfter(text, "\n")
	i, j := rapid.IntRange(0, len(all)-1).Draw(t, "line"), rapid.IntRange(0, len(all)-1).Draw(t, "other line")
	all[i], all[j] = all[j], all[i]
	return strings.Join(all, "")
}

// TestDamagedFiles: a file that was good and then got damaged loads, and means what is shown of it, or is refused with places in it. What
// loads has no red line in an editor.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]template.Kind{ofProject: template.ProjectFile, ofTemplate: template.TemplateFile} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			g, schema := newGarden(t), compile(t, kind)
			rapid.Check(t, func(t *rapid.T) {
				text := g.files[name]
				for range rapid.IntRange(1, 4).Draw(t, "times") {
					text = damage(t, text)
				}
				p, err := g.with(t, name, text)
				if err != nil {
					checkPlaces(t, err, name, text)
					return
				}
				if err := schema.Validate(document(t, text)); err != nil {
					t.Fatalf("Load takes it, and the schema does not: %v\n%s", err, text)
				}
				checkShows(t, p)
			})
		})
	}
}

// document returns what an editor makes of a YAML file: the values of JSON, keys all texts, days and times texts, too.
func document(t *rapid.T, text string) any {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return plainValue(t, &doc)
}

func plainValue(t *rapid.T, n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plainValue(t, n.Content[0])
	case yaml.AliasNode:
		return plainValue(t, n.Alias)
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, plainValue(t, item))
		}
		return list
	case yaml.MappingNode:
		return plainObject(t, n)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.(time.Time); ok {
		return n.Value
	}
	return v
}

func plainObject(t *rapid.T, n *yaml.Node) map[string]any {
	object, merged := map[string]any{}, map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		value := plainValue(t, n.Content[i+1])
		if key.ShortTag() != "!!merge" {
			object[key.Value] = value
			continue
		}
		from, ok := value.([]any)
		if !ok {
			from = []any{value}
		}
		for _, m := range from {
			for k, v := range m.(map[string]any) {
				if _, ok := merged[k]; !ok {
					merged[k] = v
				}
			}
		}
	}
	for k, v := range merged {
		if _, ok := object[k]; !ok {
			object[k] = v
		}
	}
	return object
}

// checkShows checks that what Show prints of a project loads, in a folder that holds what the project names, and shows the same again.
func checkShows(t *rapid.T, p *template.Project) {
	shown, err := template.Show(p)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "shown-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.CopyFS(dir, os.DirFS(p.Dir)); err != nil {
		t.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(shown), "---\n# ") {
		name, _, _ := strings.Cut(strings.TrimPrefix(doc, "# "), "\n")
		if err := os.WriteFile(filepath.Join(dir, name), []byte("# "+strings.TrimPrefix(doc, "# ")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, err := template.Load(dir, template.Options{})
	if err != nil {
		t.Fatalf("what is shown does not load: %v\n%s", err, shown)
	}
	twice, err := template.Show(again)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := string(twice), strings.ReplaceAll(string(shown), " # default", ""); have != want {
		t.Fatalf("shown again it is\n%s\nwant\n%s", have, want)
	}
}

// spots returns the nodes of a file that have a kind, keys left aside, but for what stands behind an alias.
func spots(n *yaml.Node, kind yaml.Kind) []*yaml.Node {
	var all []*yaml.Node
	if n.Kind == kind {
		all = append(all, n)
	}
	for i, child := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			all = append(all, spots(child, kind)...)
		}
	}
	return all
}

// parsed returns the nodes of a file, and encoded writes them with wide letters above, so that bytes and columns differ.
func parsed(t interface{ Fatal(args ...any) }, text string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

func encoded(t interface{ Fatal(args ...any) }, doc *yaml.Node) string {
	b, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return "# größer als 日本語\n" + string(b)
}

// TestEveryErrorAtOnce: values of the wrong type are complained of wherever they stand, all at once and at their places.
func TestEveryErrorAtOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{ofProject, ofTemplate} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			g := newGarden(t)
			rapid.Check(t, func(t *rapid.T) {
				doc := parsed(t, g.files[name])
				all := spots(doc, yaml.ScalarNode)
				for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(all)-1), 1, 12, rapid.ID[int]).Draw(t, "wrong") {
					*all[i] = yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}}}
				}
				text := encoded(t, doc)
				_, err := g.with(t, name, text)
				if err == nil {
					t.Fatalf("it loads:\n%s", text)
				}
				checkPlaces(t, err, name, text)
				said := places(err, name)
				for i, line := range strings.Split(text, "\n") {
					for at := 0; ; {
						n := strings.Index(line[at:], "[[]]")
						if n < 0 {
							break
						}
						column := 1 + utf8.RuneCountInString(line[:at+n])
						if !said[fmt.Sprintf("%d:%d", i+1, column)] && !said[fmt.Sprintf("%d:%d", i+1, column+1)] { // the list, or its item
							t.Fatalf("nothing is said of line %d column %d:\n%v\n%s", i+1, column, err, text)
						}
						at += n + 1
					}
				}
			})
			g.restore(t, name)
		})
	}
}

// places returns line:column of the errors in a file.
func places(err error, name string) map[string]bool {
	said := map[string]bool{}
	list, _ := errors.AsType[template.Errors](err)
	for _, e := range list {
		if e.Pos.File == name {
			said[fmt.Sprintf("%d:%d", e.Pos.Line, e.Pos.Column)] = true
		}
	}
	return said
}

// TestUnknownAndDoubledKeysAnywhere: no mapping takes a key that it does not know, nor one twice.
func TestUnknownAndDoubledKeysAnywhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{ofProject, ofTemplate} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			g := newGarden(t)
			free := regexp.MustCompile(`(?m)"zzz-zzz" is no name to use here|unknown key "zzz-zzz"|no variable`)
			n := len(spots(parsed(t, g.files[name]), yaml.MappingNode))
			for i := range n {
				doc := parsed(t, g.files[name])
				m := spots(doc, yaml.MappingNode)[i]
				key, value := &yaml.Node{Kind: yaml.ScalarNode, Value: "zzz-zzz"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "x"}
				m.Content = append(m.Content, key, value)
				text := encoded(t, doc)
				if _, err := g.with(t, name, text); !free.MatchString(fmt.Sprint(err)) && !strings.Contains(fmt.Sprint(err), `"zzz-zzz" is the text "x"`) {
					t.Errorf("mapping %d takes any key: %v\n%s", i, err, text)
				}

				doc = parsed(t, g.files[name])
				m = spots(doc, yaml.MappingNode)[i]
				own := slices.IndexFunc(m.Content, func(n *yaml.Node) bool { return n.Value != "<<" })
				if own < 0 || own%2 == 1 {
					continue
				}
				twin := *m.Content[own]
				twin.Anchor = ""
				m.Content = append(m.Content, &twin, &yaml.Node{Kind: yaml.ScalarNode, Value: "x"})
				text = encoded(t, doc)
				want := fmt.Sprintf("the key %q is here twice", twin.Value)
				if _, err := g.with(t, name, text); !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("error %v: want %s", err, want)
				}
			}
			if n < 10 {
				t.Errorf("%d mappings were tried: want all of the file", n)
			}
			g.restore(t, name)
		})
	}
}

// TestVariablesMeanTheirValue: whatever a variable holds stands where it is named, letter by letter, and the last layer that has it counts.
func TestVariablesMeanTheirValue(t *testing.T) {
	t.Parallel()
	dir := project(t, small, web+"vars: { x: declared }\nsteps:\n  - run: \"before $${{ vars.x }} ${{ vars.x }}${{vars.x}} behind\"\n")
	values := rapid.OneOf(
		rapid.SampledFrom([]string{"${{", "$${{ vars.x }}", "${{ vars.x }}", "}}", "$", " a ", "a: b", "- a", "'", `"`, "\t", "true", "5", "~", "#", "\u2028", "日本", "{", "a\nb", "a\r\nb\n\n"}),
		rapid.StringMatching(`[^\x00-\x08\x0b-\x1f\x7f-\x9f\x{2028}\x{2029}\x{feff}\x{fffe}\x{ffff}\x{e000}-\x{f8ff}\x{fff9}-\x{fffd}]{1,20}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		o, want := template.Options{}, "declared"
		if rapid.Bool().Draw(t, "in the environment") {
			want = values.Draw(t, "environ")
			o.Environ = []string{"IIBAKE_VAR_x=" + want, "x=no", "IIBAKE_VAR_y=nobody has it"}
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "files") {
			want = values.Draw(t, "file")
			b, err := json.Marshal(map[string]string{"x": want}) // which is YAML, too
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, fmt.Sprintf("vars%d.yaml", i))
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
			o.VarFiles = append(o.VarFiles, file)
			if strings.Contains(want, "${{") {
				t.Skip("a file of variables names no variables") // which has tests of its own
			}
		}
		if rapid.Bool().Draw(t, "as an option") {
			want = values.Draw(t, "option")
			o.Vars = map[string]string{"x": want}
		}
		p, err := template.Load(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if have, want := p.Images[0].Steps[0].Run, "before ${{ vars.x }} "+want+want+" behind"; have != want {
			t.Fatalf("have %q, want %q", have, want)
		}
		checkShows(t, p)
	})
}

// TestSlipsAreUnderstood: of a key with two letters exchanged, one lost or one doubled, the key that was meant is suggested.
func TestSlipsAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"version", "description", "source", "disk_size", "publish", "retain", "refresh_after"} {
		for i := 1; i < len(key)-1; i++ {
			for _, slip := range []string{
				key[:i] + key[i+1:i+2] + key[i:i+1] + key[i+2:],
				key[:i] + key[i+1:],
				key[:i] + key[i:i+1] + key[i:],
				key[:i] + strings.ToUpper(key[i:]),
			} {
				if slip == key {
					continue
				}
				_, err := template.Load(project(t, small, web+slip+": 5\n"), template.Options{})
				if want := fmt.Sprintf("web.yaml:4:1: unknown key %q: did you mean %q?", slip, key); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v: want %s", err, want)
				}
			}
		}
	}
}
