package template_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/templates"
)

func compile(t *testing.T, kind template.Kind) *jsonschema.Schema {
	t.Helper()
	b, err := template.Schema(kind)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate holds a YAML text against a schema as editors do.
func validate(t *testing.T, schema *jsonschema.Schema, content string) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(content), &doc); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

func TestSchemaKnowsItsKinds(t *testing.T) {
	t.Parallel()
	if _, err := template.Schema("fleet"); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("error %v: want ErrInvalid", err)
	}
}

// TestSchemaTakesShippedFiles: what iibake init writes has no red line in an editor, nor has what Show prints.
func TestSchemaTakesShippedFiles(t *testing.T) {
	t.Parallel()
	ofProject, ofTemplate := compile(t, template.ProjectFile), compile(t, template.TemplateFile)
	check := func(name, content string) {
		schema := ofTemplate
		if strings.HasSuffix(name, "iibake.yaml") {
			schema = ofProject
		}
		if err := validate(t, schema, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range append([]string{""}, starters()...) {
		files := templates.Project()
		if name != "" {
			files, _ = templates.Named(name)
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, files); err != nil {
			t.Fatal(err)
		}
		p := load(t, dir)
		for _, file := range append([]string{"iibake.yaml"}, imageFiles(p)...) {
			content, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			check(file, string(content))
		}
		shown, err := template.Show(p)
		if err != nil {
			t.Fatal(err)
		}
		checkShown(check, string(shown))
	}
	archive, err := txtar.ParseFile("testdata/show/everything.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if f.Name == "iibake.yaml" || strings.HasPrefix(f.Name, "images/") {
			check(f.Name, string(f.Data))
		}
	}
	checkShown(check, string(archive.Files[len(archive.Files)-1].Data))
}

func checkShown(check func(name, content string), shown string) {
	for doc := range strings.SplitSeq(shown, "---\n") {
		header, _, _ := strings.Cut(doc, "\n")
		check(strings.TrimPrefix(header, "# "), doc)
	}
}

func starters() []string {
	var names []string
	for _, s := range templates.Starters() {
		names = append(names, s.Name)
	}
	return names
}

func imageFiles(p *template.Project) []string {
	var names []string
	for _, image := range p.Images {
		names = append(names, image.File)
	}
	return names
}

// TestDefaultsAndExamplesAreGood holds what the schema itself says against the schema: it is what people copy.
func TestDefaultsAndExamplesAreGood(t *testing.T) {
	t.Parallel()
	for _, kind := range []template.Kind{template.ProjectFile, template.TemplateFile} {
		b, err := template.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("schema.json", doc); err != nil {
			t.Fatal(err)
		}
		n := 0
		properties(doc, "", func(place string, property map[string]any) {
			schema, err := c.Compile("schema.json#" + place)
			if err != nil {
				t.Fatal(err)
			}
			values, _ := property["examples"].([]any)
			if def, ok := property["default"]; ok {
				values = append(values, def)
			}
			for _, v := range values {
				if n++; schema.Validate(v) != nil {
					t.Errorf("%s: %s: %v is not valid: %v", kind, place, v, schema.Validate(v))
				}
			}
			if property["description"] == "" {
				t.Errorf("%s: %s has no description", kind, place)
			}
		})
		if n < 15 {
			t.Errorf("%s: %d defaults and examples: want all of them", kind, n)
		}
	}
}

// properties calls do for every property in a schema.
func properties(node any, place string, do func(place string, property map[string]any)) {
	object, _ := node.(map[string]any)
	for name, child := range object {
		at := place + "/" + name
		if name == "properties" {
			for key, property := range child.(map[string]any) {
				do(at+"/"+key, property.(map[string]any))
			}
		}
		properties(child, at, do)
	}
	list, _ := node.([]any)
	for i, child := range list {
		properties(child, fmt.Sprintf("%s/%d", place, i), do)
	}
}

// TestSchemaAgreesWithLoad holds documents against the schema and against the decoder. Both must say the same of each.
func TestSchemaAgreesWithLoad(t *testing.T) {
	t.Parallel()
	schema := compile(t, template.TemplateFile)
	const source = "source: { debian: { suite: bookworm } }\n"
	const vars = "vars: { a: 1, b: true, c: 1.10, d: text, s: { secret: { env: S } } }\n"
	for content, good := range map[string]bool{
		source:                                true,
		"":                                    false, // no source
		source + "description: 5\n":           false,
		source + "unknown: 5\n":               false,
		source + "arch: arm64\n":              true,
		source + "arch: arm65\n":              false,
		source + "disk_size: 4GiB\n":          true,
		source + "disk_size: 4294967296\n":    true,
		source + "disk_size: 4GB\n":           false,
		source + "disk_size: []\n":            false,
		source + "refresh_after: 7d\n":        true,
		source + "refresh_after: 1h30m\n":     true,
		source + "refresh_after: 7\n":         false,
		source + "refresh_after: week\n":      false,
		source + "description:\n":             false,
		"source: { image: base@candidate }\n": true,
		"source: { image: base }\n":           false,
		"source: { image: base@candidate, debian: { suite: bookworm } }\n": false,
		"source: {}\n":                                                             false,
		"source: { disk: web.yaml }\n":                                             true,
		"source: { disk: { path: web.yaml } }\n":                                   true,
		"source: { disk: { path: web.yaml, sha256: abc } }\n":                      false,
		"source: { disk: [web.yaml] }\n":                                           false,
		source + "steps: [{ apt: [nginx] }]\n":                                     true,
		source + "steps: [{ apt: nginx }]\n":                                       false,
		source + "steps: [{ apt: { install: [nginx], upgrade: true } }]\n":         true,
		source + "steps: [{ apt: [nginx], run: echo }]\n":                          false,
		source + "steps: [{ name: nothing }]\n":                                    false,
		source + "steps: [{ env: { A: b } }]\n":                                    true,
		source + "steps: [{ env: { A: b }, run: echo }]\n":                         true,
		source + "steps: [{ env: { A-B: b } }]\n":                                  false,
		source + "steps: [{ env: { A: { secret: { env: S } } } }]\n":               true,
		source + "steps: [{ env: { A: { secret: { env: S, file: f } } } }]\n":      false,
		source + "steps: [{ env: { A: { text: S } } }]\n":                          false,
		source + "steps: [{ env: { A: [S] } }]\n":                                  false,
		source + "steps: [{ apt: [-o] }]\n":                                        false,
		source + "steps: [{ script: web.yaml }]\n":                                 true,
		source + "steps: [{ script: { file: web.yaml, args: [a, 1, true] } }]\n":   true,
		source + "steps: [{ user: deploy }]\n":                                     true,
		source + "steps: [{ user: { name: deploy, uid: 900, groups: [a] } }]\n":    true,
		source + "steps: [{ user: { uid: 900 } }]\n":                               false,
		source + "steps: [{ copy: { from: web.yaml, to: /srv, mode: '0644' } }]\n": true,
		source + "steps: [{ copy: { from: web.yaml, to: /srv, mode: '0999' } }]\n": false,
		source + "steps: [{ copy: { from: web.yaml, to: srv } }]\n":                false,
		source + "steps: { apt: [nginx] }\n":                                       false,
		source + "tests: { http: [{ port: 80 }], tcp: [22, { port: 25 }] }\n":      true,
		source + "tests: { http: [{ port: 0 }] }\n":                                false,
		source + "tests: { tcp: [ssh] }\n":                                         false,
		source + "tests: { reboot: false, boot: { firmware: [bios, uefi] } }\n":    true,
		source + "tests: { reboot: 5, boot: { firmware: [bios, uefi] } }\n":        false,
		source + "tests: { boot: { firmware: bios } }\n":                           false,
		source + vars:                            true,
		source + "vars: { a: [1] }\n":            false,
		source + "vars: { a: { secret: {} } }\n": false,
		source + "vars: { a-b: 1 }\n":            false,
		source + vars + "tests: { http: [{ status: '20${{ vars.a }}' }] }\n":         true,
		source + vars + "tests: { reboot: '${{ vars.b }}' }\n":                       true,
		source + vars + "steps: [{ run: 'echo ${{ vars.d }}' }]\n":                   true,
		source + vars + "steps: [{ run: echo, env: { A: '${{ vars.s }}' } }]\n":      true,
		source + vars + "steps: [{ apt: ['nginx=${{ vars.c }}'] }]\n":                true,
		source + vars + "steps: [{ run: echo, timeout: '${{ vars.a }}h' }]\n":        true,
		source + vars + "steps: [{ run: echo, timeout: '$${{ vars.a }}h' }]\n":       false,
		source + "retain: { last: 5, for: 30d }\npublish: { deprecate_after: 1d }\n": true,
		source + "retain: 5\n": false,
		source + "steps:\n- &a { run: echo }\n- *a\n- { <<: *a, name: again }\n":         true,
		source + "steps:\n- &a { run: echo }\n- { <<: *a, name: again, apt: [nginx] }\n": false,
	} {
		content = "version: 1\nname: web\n" + content
		_, err := template.Load(project(t, small, content), template.Options{})
		if (err == nil) != good {
			t.Errorf("%s\nLoad says %v: want good %v", content, err, good)
		}
		if err := validate(t, schema, content); (err == nil) != good {
			t.Errorf("%s\nthe schema says %v: want good %v", content, err, good)
		}
	}
}

func TestProjectSchemaAgreesWithLoad(t *testing.T) {
	t.Parallel()
	schema := compile(t, template.ProjectFile)
	for content, good := range map[string]bool{
		"":                              true,
		"catalog: s3://bucket/prefix\n": true,
		"catalog: 5\n":                  false,
		"unknown: 5\n":                  false,
		"channels: { staging: {}, production: { after: staging, age: 24h } }\n": true,
		"channels: { staging: }\n":                                                  false,
		"channels: { 'A B': {} }\n":                                                 false,
		"channels: { staging: { age: '${{ vars.a }}' } }\n":                         false,
		"targets: { eu: { region: eu-west-1 }, local: { endpoint: local } }\n":      true,
		"targets: { eu: { region: eu-west-1, endpoint: local } }\n":                 true,
		"targets: { eu: {} }\n":                                                     false,
		"targets: { eu: { region: europe } }\n":                                     false,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu } }\n": false,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { checkpoints: [10, 100] } } }\n":                                                           true,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { checkpoints: [0, 100] } } }\n":                                                            false,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { strategy: replace_root_volume, canary: false, skip_matching: false, warmup: 1m } } }\n":   true,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { strategy: fast } } }\n":                                                                   false,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { protected: wait, standby: terminate } } }\n":                                              true,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { standby: refresh } } }\n":                                                                 false,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { probes: [{ http: http://x, status: 204, contains: ok }, { command: [probe, 5] }] } } }\n": true,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { probes: [{}] } } }\n":                                                                     false,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { probes: [{ http: http://x, command: [a] }] } } }\n":                                       false,
		"targets: { eu: { region: eu-west-1 } }\nfleets: { web: { target: eu, auto_scaling_group: w, refresh: { probes: [{ http: http://x, tries: 0 }] } } }\n":                                           false,
		"channels: { staging: { freeze: [{ from: Fri 16:00, until: Mon 08:00, zone: Europe/Berlin }] } }\n":                                                                                               true,
		"channels: { staging: { freeze: [{ from: 2026-12-20 18:00, until: 2027-01-04 08:00, reason: holidays }] } }\n":                                                                                    true,
		"channels: { staging: { freeze: [{ from: Fri 24:00, until: Mon 08:00 }] } }\n":                                                                                                                    false,
		"channels: { staging: { freeze: [{ from: Fri 16:00 }] } }\n":                                                                                                                                      false,
		"channels: { staging: { freeze: [{ from: 16:00, until: 17:00 }] } }\n":                                                                                                                            false,
		"channels: { staging: { approvals: 1, not_author: true, max_age: 30d, parameter: '/images/{image}/x' } }\n":                                                                                       true,
		"channels: { staging: { parameter: '/images/{name}' } }\n":                                                                                                                                        false,
	} {
		content = small + content
		_, err := template.Load(project(t, content, web), template.Options{})
		if (err == nil) != good {
			t.Errorf("%s\nLoad says %v: want good %v", content, err, good)
		}
		if err := validate(t, schema, content); (err == nil) != good {
			t.Errorf("%s\nthe schema says %v: want good %v", content, err, good)
		}
	}
}
