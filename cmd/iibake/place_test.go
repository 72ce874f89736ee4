package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// nameless are the two kinds of files without a name: those that can get one again, and those that cannot.
func nameless(t *testing.T, dir string) map[string]*os.File {
	t.Helper()
	never, err := disk.Scratch(dir)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := os.CreateTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(lost.Name()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = never.Close(), lost.Close() })
	return map[string]*os.File{"never had one": never, "lost it": lost}
}

func TestPlace(t *testing.T) {
	for _, mask := range []int{0o022, 0o027, 0o077} {
		t.Run(fmt.Sprintf("umask %03o", mask), func(t *testing.T) {
			before := syscall.Umask(mask)
			t.Cleanup(func() { syscall.Umask(before) })
			testPlace(t, 0o666&^fs.FileMode(mask))
		})
	}
}

func testPlace(t *testing.T, mode fs.FileMode) {
	t.Helper()
	dir := t.TempDir()
	for kind, f := range nameless(t, dir) {
		if _, err := f.WriteString(kind); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, kind)
		for _, replace := range []bool{false, true} {
			if err := place(f, name, replace); err != nil {
				t.Fatalf("%s, replace %v: %v", kind, replace, err)
			}
			if b, err := os.ReadFile(name); err != nil || string(b) != kind {
				t.Errorf("%s, replace %v: %q %v", kind, replace, b, err)
			}
		}
		if err := place(f, name, false); !errors.Is(err, bake.ErrRefused) {
			t.Errorf("%s: a file was overwritten: %v", kind, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want %v", kind, info, err, mode)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("something else is left: %v %v", left, err)
	}
}
