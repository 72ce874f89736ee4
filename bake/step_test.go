package bake_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
)

func TestStepTitle(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 47)
	for want, s := range map[string]bake.Step{
		"":                        {},
		"mine":                    {Name: "mine", Run: "true"},
		"apt nginx curl":          {Apt: &bake.Packages{Install: []string{"nginx", "curl"}}},
		"apt upgrade nginx -nano": {Apt: &bake.Packages{Install: []string{"nginx"}, Remove: []string{"nano"}, Upgrade: true}},
		"dnf -vim":                {Dnf: &bake.Packages{Remove: []string{"vim"}}},
		"packages":                {Packages: &bake.Packages{}},
		"copy a → /b":             {Copy: &bake.Copy{From: "a", To: "/b"}},
		"script a.sh -v x":        {Script: &bake.Script{File: "a.sh", Args: []string{"-v", "x"}}, Env: map[string]bake.Value{"A": {}}},
		"run echo one":            {Run: "\n  echo one\necho two\n"},
		"run " + long + "a":       {Run: long + "a"},
		"run " + long + "…":       {Run: long + "ab"},
		"user deploy":             {User: &bake.User{Name: "deploy"}},
		"env":                     {Env: map[string]bake.Value{"TOKEN": {Text: "x"}}},
	} {
		if got := s.Title(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		kind, _, _ := strings.Cut(want, " ")
		if got := s.Kind(); s.Name == "" && string(got) != kind {
			t.Errorf("%s: got kind %q", want, got)
		}
	}
}

func TestTitleLeavesTheStepAlone(t *testing.T) {
	t.Parallel()
	words := []string{"a", "b", "c"}
	s := bake.Step{Apt: &bake.Packages{Install: words[:1], Remove: []string{"x"}, Upgrade: true}, Name: ""}
	_ = s.Title()
	s = bake.Step{Script: &bake.Script{File: "f", Args: words[:1]}}
	if _ = s.Title(); strings.Join(words, "") != "abc" {
		t.Errorf("got %q", words)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", "s3cret\n\n")
	t.Setenv("IIBAKE_TEST_TOKEN", "")
	for _, c := range []struct {
		value bake.Value
		want  string
	}{
		{bake.Value{}, ""},
		{bake.Value{Text: "x"}, "x"},
		{bake.Value{Secret: &bake.Secret{Env: "IIBAKE_TEST_TOKEN"}}, ""}, // set, but empty
		{bake.Value{Secret: &bake.Secret{File: "token", Dir: dir}}, "s3cret\n"},
		{bake.Value{Secret: &bake.Secret{File: filepath.Join(dir, "token"), Dir: "/none"}}, "s3cret\n"},
	} {
		if got, err := c.value.Resolve(); err != nil || got != c.want {
			t.Errorf("got %q and %v, want %q", got, err, c.want)
		}
	}
	must(t, os.Unsetenv("IIBAKE_TEST_TOKEN"))
	_, err := bake.Value{Secret: &bake.Secret{Env: "IIBAKE_TEST_TOKEN"}}.Resolve()
	if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "IIBAKE_TEST_TOKEN is not set") {
		t.Errorf("got %v", err)
	}
	_, err = bake.Value{Secret: &bake.Secret{File: "none", Dir: dir}}.Resolve()
	if !errors.Is(err, bake.ErrInvalid) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
