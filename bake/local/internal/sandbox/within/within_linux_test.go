package within_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	sandboxtest.Files{
		"srv/f": "inside", "abs": "->/srv", "up": "->../../../../srv", "etc/link": "->/srv/f", "loop": "->loop", "gone": "->/nowhere/x",
	}.Write(t, root)
	return root
}

func TestLinksStayBelowRoot(t *testing.T) {
	root := tree(t)
	for _, name := range []string{"/srv/f", "srv/f", "abs/f", "up/f", "/etc/link", "../../srv/f"} {
		if b, err := within.ReadFile(root, name); err != nil || string(b) != "inside" {
			t.Errorf("%s: %q %v", name, b, err)
		}
		if at, err := within.Locate(root, name); err != nil || at != filepath.Join(root, "srv/f") {
			t.Errorf("%s: %s %v", name, at, err)
		}
	}
	for _, name := range []string{"/etc/passwd", "gone", "loop"} {
		if _, err := within.ReadFile(root, name); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// The kernel gives up on a path with .. whenever anything on the machine is renamed meanwhile, and wants to be asked again.
func TestRenamesElsewhere(t *testing.T) {
	root, elsewhere := tree(t), t.TempDir()
	sandboxtest.Files{"a": "x"}.Write(t, elsewhere)
	var others sync.WaitGroup
	stop := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(filepath.Join(elsewhere, "a"), filepath.Join(elsewhere, "b"))
				_ = os.Rename(filepath.Join(elsewhere, "b"), filepath.Join(elsewhere, "a"))
			}
		}
	})
	for range 20_000 {
		if _, err := within.Readlink(root, "up/../etc/../srv/../etc/link"); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	others.Wait()
}

func TestReadlink(t *testing.T) {
	root := tree(t)
	if target, err := within.Readlink(root, "/etc/link"); target != "/srv/f" {
		t.Error(target, err)
	}
	if _, err := within.Readlink(root, "/srv/f"); err == nil {
		t.Error("a file is no link")
	}
	if _, err := within.Readlink(root, "/none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestMkdirAll(t *testing.T) {
	root := tree(t)
	var made []string
	note := func(f *os.File) error { made = append(made, f.Name()); return nil }
	if err := within.MkdirAll(root, "/abs/a/b", note); err != nil || len(made) != 2 {
		t.Fatal(made, err)
	}
	if info, err := os.Stat(filepath.Join(root, "srv/a/b")); err != nil || !info.IsDir() {
		t.Fatal(err)
	}
	if err := within.MkdirAll(root, "/abs/a/b", note); err != nil || len(made) != 2 {
		t.Fatal(made, err)
	}
	if err := within.MkdirAll(root, "/srv/f/x", nil); err == nil {
		t.Error("a folder below a file")
	}
	if err := within.MkdirAll(root, "/gone/x", nil); err == nil {
		t.Error("a folder below a link to nowhere")
	}
	if err := within.MkdirAll(root, "/", nil); err != nil {
		t.Error(err)
	}
}
