package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/catalog"
)

// No test here runs beside those that start processes: until it is another program, a child has every file open that its parent had, and what
// is mounted stays busy.

func TestFullDisk(t *testing.T) {
	disk := mountTmpfs(t)
	dir := filepath.Join(disk, "catalog")
	d := openDir(t, dir)
	must(t, d.Put(t.Context(), "a", []byte("x")))
	ballast := filepath.Join(disk, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 1<<20), 0o600) // more than fits
	for _, err := range []error{
		d.Put(t.Context(), "b", make([]byte, 8<<10)),
		d.Put(t.Context(), "c/d", make([]byte, 8<<10)),
		d.Swap(t.Context(), "heads/a", nil, make([]byte, 8<<10)),
	} {
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("got %v, want %v", err, unix.ENOSPC)
		}
	}
	wantProblems(t, d)
	if keys, err := d.List(t.Context(), ""); len(keys) != 1 {
		t.Errorf("got %q and %v, want only a", keys, err)
	}
	must(t, os.Remove(ballast))
	must(t, d.Put(t.Context(), "b", make([]byte, 8<<10)))
	wantProblems(t, openDir(t, dir))
}

func TestReadOnlyFolder(t *testing.T) {
	disk := mountTmpfs(t)
	dir := filepath.Join(disk, "catalog")
	must(t, openDir(t, dir).Put(t.Context(), "a", []byte("x")))
	must(t, os.WriteFile(filepath.Join(dir, "pending"), []byte("left by somebody"), 0o600))
	must(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	d := openDir(t, dir)
	if _, err := d.Get(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	wantProblems(t, d)
	err := d.Put(t.Context(), "b", []byte("x"))
	if !errors.Is(err, unix.EROFS) {
		t.Errorf("got %v, want %v", err, unix.EROFS)
	}
	wantText(t, err, "put b: open "+dir)
	fresh, err := catalog.OpenDir(filepath.Join(disk, "new"))
	must(t, err)
	wantText(t, fresh.Put(t.Context(), "b", nil), "read-only file system")
}

// mountTmpfs returns a disk of 64 KiB, which goes away with the test.
func mountTmpfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) }) // not lazily: nothing may be open any more
	return dir
}

// TestUndone lets a change fail at its very last step, by another file system where the value has to go.
func TestUndone(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	must(t, d.Put(t.Context(), "images/web/1", []byte("one")))
	disk := filepath.Join(dir, "data", "images", "web")
	must(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"))
	err := d.Put(t.Context(), "images/web/2", []byte("two"))
	must(t, unix.Unmount(disk, 0))
	if !errors.Is(err, unix.EXDEV) {
		t.Errorf("got %v, want %v", err, unix.EXDEV)
	}
	wantProblems(t, d)
	must(t, d.Put(t.Context(), "images/web/2", []byte("another")))
	wantProblems(t, d)
}
