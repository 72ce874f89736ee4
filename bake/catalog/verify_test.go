package catalog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
)

// TestVerifyFinds lets somebody tamper with a catalog and wants exactly that to be found.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tamper func(t *testing.T, dir string)
		want   []string
	}{
		"nothing": {func(*testing.T, string) {}, nil},
		"altered record": {
			rewrite("data/images/web/1,v", "one", "0ne"),
			[]string{"images/web/1: altered: it has digest sha256:"},
		},
		"emptied record": {
			rewrite("data/images/web/1,v", "one", ""),
			[]string{"images/web/1: altered"},
		},
		"removed record": {
			unlink("data/images/web/2,v"),
			[]string{"images/web/2: missing: the journal says that it exists"},
		},
		"added record": {
			create("data/images/web/9,v"),
			[]string{"images/web/9: not in the journal"},
		},
		"moved head": {
			rewrite("data/heads/latest/web,v", "2", "1"),
			[]string{"heads/latest/web: does not hold what the journal says"},
		},
		"removed head": {
			unlink("data/heads/latest/web,v"),
			[]string{"heads/latest/web: missing"},
		},
		"resurrected head": {
			create("data/heads/gone,v"),
			[]string{"heads/gone: not in the journal: somebody added it or brought it back"},
		},
		"foreign files": {
			func(t *testing.T, dir string) {
				t.Helper()
				create("data/images/notes.txt")(t, dir)
				create("data/images/a b,v")(t, dir)
				must(t, os.Symlink("1,v", filepath.Join(dir, "data/images/web/link,v")))
			},
			[]string{"images/a b,v: not a file of the catalog", "images/notes.txt: not a", "images/web/link,v: not a"},
		},
		"altered entry": {
			rewrite("journal", `"key":"images/web/1"`, `"key":"images/web/7"`),
			[]string{"journal:3: the chain is broken", "images/web/1: not in the journal", "images/web/7: missing"},
		},
		"altered time": {
			rewrite("journal", `"seq":2,"time":"2`, `"seq":2,"time":"3`),
			[]string{"journal:4: the chain is broken"},
		},
		"removed entry": {
			editLines(func(l []string) []string { return append(l[:2:2], l[3:]...) }),
			[]string{"journal:3: the chain is broken", "images/web/2: not in the journal"},
		},
		"swapped entries": {
			editLines(func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }),
			[]string{"journal:2: the chain is broken", "journal:3: the chain is broken", "journal:4: the chain is broken"},
		},
		"added entry": {
			editLines(func(l []string) []string { return append(l[:2:2], l[1:]...) }),
			[]string{"journal:3: the chain is broken", "journal:3: record images/web/1 is put a second time"},
		},
		"torn line in the middle": {
			editLines(func(l []string) []string { l[2] = l[2][:40] + "\n"; return l }),
			[]string{`journal:3: unreadable entry "{\"seq\":2,`, "images/web/2: not in the journal"},
		},
		"two entries on a line": {
			editLines(func(l []string) []string { l[1] = strings.TrimSuffix(l[1], "\n"); return l }),
			[]string{"journal:2: unreadable entry", "images/web/1: not in", "images/web/2: not in"},
		},
		"torn line at the end": {
			func(t *testing.T, dir string) {
				t.Helper()
				appendTo(t, filepath.Join(dir, "journal"), `{"seq":6,"time":"2`)
			},
			nil,
		},
		"cut journal": {
			editLines(func(l []string) []string { return l[:2] }),
			[]string{"heads/latest/web: not in the journal", "images/web/2: not in the journal"},
		},
		"no journal": {
			unlink("journal"),
			[]string{"heads/latest/web: not in the journal", "images/web/1: not in", "images/web/2: not in"},
		},
		"pending value of nothing": {create("pending"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, d := sample(t)
			c.tamper(t, dir)
			wantProblems(t, d, c.want...)
			wantProblems(t, d, c.want...) // looking has changed nothing
		})
	}
}

// TestVerifyFindsSecondPut needs a well-formed chain, so it has to be made by a catalog that has forgotten the record.
func TestVerifyFindsSecondPut(t *testing.T) {
	t.Parallel()
	dir, d := sample(t)
	unlink("data/images/web/1,v")(t, dir)
	must(t, d.Put(t.Context(), "images/web/1", []byte("another")))
	wantProblems(t, d, "journal:7: record images/web/1 is put a second time")
}

func TestVerifyRefusesForeignJournal(t *testing.T) {
	t.Parallel()
	dir, d := sample(t)
	rewrite("journal", "iibake catalog 1", "iibake catalog 3")(t, dir)
	_, err := d.Verify(t.Context())
	wantText(t, err, "use a newer release of iibake")
}

// sample returns a catalog with two records, a head and a head that was removed: journal lines 2 to 6.
func sample(t *testing.T) (string, *catalog.Dir) {
	t.Helper()
	dir := t.TempDir()
	d, ctx := openDir(t, dir), t.Context()
	must(t, d.Put(ctx, "images/web/1", []byte("one")))
	must(t, d.Put(ctx, "images/web/2", []byte("two")))
	must(t, d.Swap(ctx, "heads/gone", nil, []byte("x")))
	must(t, d.Swap(ctx, "heads/gone", []byte("x"), nil))
	must(t, d.Swap(ctx, "heads/latest/web", nil, []byte("2")))
	return dir, d
}

func rewrite(name, old, text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		name := filepath.Join(dir, name)
		b, err := os.ReadFile(name)
		must(t, err)
		if !strings.Contains(string(b), old) {
			t.Fatalf("%s holds no %q", name, old)
		}
		must(t, os.WriteFile(name, []byte(strings.Replace(string(b), old, text, 1)), 0o600))
	}
}

func editLines(edit func([]string) []string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		name := filepath.Join(dir, "journal")
		b, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(name, []byte(strings.Join(edit(strings.SplitAfter(string(b), "\n")), "")), 0o600))
	}
}

func unlink(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		must(t, os.Remove(filepath.Join(dir, name)))
	}
}

func create(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
}
