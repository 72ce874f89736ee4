package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/iibake/iibake/bake/disk"
)

func TestScratchHasNoNameUntilItIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	f, err := disk.Scratch(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Fatalf("the folder holds %v (%v)", entries, err)
	}
	name := filepath.Join(dir, "kept")
	if err := disk.Keep(f, name); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "content" {
		t.Fatalf("kept %q (%v)", b, err)
	}
	if err := disk.Keep(f, name); !os.IsExist(err) {
		t.Fatalf("a second time: %v", err)
	}
}

func TestScratchNamesTheFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Scratch(file); err == nil {
		t.Fatal("a file is no folder")
	}
}
