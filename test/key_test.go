package test_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test"
)

func TestKeyCoversEverythingThatJudges(t *testing.T) {
	tpl := bake.Template{Name: "web", Tests: bake.Tests{Goss: "web.yaml"}, Dir: tree(t, map[string]string{
		"web.yaml": "gossfile: {common.yaml: {}}", "common.yaml": "port: {}", "site.html": "one",
	})}
	seen := map[bake.Digest]string{}
	for _, change := range []struct {
		what string
		same bool
		do   func()
	}{
		{"nothing", false, func() {}},
		{"a step", true, func() { tpl.Steps = []bake.Step{{Run: "true"}} }},
		{"a file that does not judge", true, func() { rewrite(t, tpl.Dir, "site.html", "two") }},
		{"the goss file", false, func() { rewrite(t, tpl.Dir, "web.yaml", "gossfile: {common.yaml: {}}\nport: {}") }},
		{"a file that it includes", false, func() { rewrite(t, tpl.Dir, "common.yaml", "user: {}") }},
		{"a probe", false, func() { tpl.Tests.TCP = []bake.TCPProbe{{Port: 80}} }},
		{"no goss file", false, func() { tpl.Tests.Goss = "" }},
	} {
		change.do()
		key, err := test.Key(tpl)
		if err != nil {
			t.Fatal(err)
		}
		if before, known := seen[key]; known != change.same {
			t.Errorf("%s: the key is that of %q: %v", change.what, before, known)
		}
		seen[key] = change.what
	}
}

func TestKeyNeedsTheGossFile(t *testing.T) {
	for _, goss := range []string{"none.yaml", "../outside.yaml"} {
		if _, err := test.Key(bake.Template{Name: "web", Tests: bake.Tests{Goss: goss}, Dir: t.TempDir()}); err == nil {
			t.Errorf("%s: no error", goss)
		}
	}
}

func rewrite(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}
