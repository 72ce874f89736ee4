package disk_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inMountNamespace runs the test that it is called by once more in a process with its own mounts, which end with it, and
// reports whether this is that process.
func inMountNamespace(t *testing.T) bool {
	t.Helper()
	const variable = "IIBAKE_DISK_TEST_NAMESPACE"
	if os.Getenv(variable) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("in its own namespace:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// mountTmpfs mounts, or resizes, a filesystem in a folder, until the end of the test.
func mountTmpfs(t *testing.T, dir, size string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size="+size); err != nil {
		t.Fatal(err)
	}
	if flags&unix.MS_REMOUNT == 0 {
		t.Cleanup(func() {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil { // the test has files open
				t.Error(err)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	dir := t.TempDir()
	mountTmpfs(t, dir, "8m", 0)
	s := openStore(t, filepath.Join(dir, "store"))
	small := noiseFile(t, 1, 4)
	before := mustImport(t, s, small, "")
	big := noiseFile(t, 1, 40)

	_, err := s.Import(t.Context(), big, before, nil)
	wantFull(t, err, filepath.Join(dir, "store"))
	wantFiles(t, dir, "store/blocks", 4)
	wantFiles(t, dir, "store/manifests", 1)
	wantFiles(t, dir, "store/tmp", 0)
	wantClean(t, s, before)

	out, err := os.Create(filepath.Join(dir, "out.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	filler := filepath.Join(dir, "filler")
	fillUp(t, filler)
	wantFull(t, s.Materialise(t.Context(), before, out, nil), dir)
	if n := allocated(t, out); n != 0 {
		t.Errorf("%d bytes of half a disk are left", n)
	}

	// With enough space the same commands work.
	mountTmpfs(t, dir, "64m", unix.MS_REMOUNT)
	d := mustImport(t, s, big, before)
	if !bytes.Equal(materialised(t, s, d), content(t, big)) {
		t.Error("the disk differs")
	}
}

// fillUp leaves no space on a filesystem.
func fillUp(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(chunk)
	}
	if err := errors.Join(err, f.Close()); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// wantFull fails unless err names the folder, the space that is needed and what to do.
func wantFull(t *testing.T, err error, dir string) {
	t.Helper()
	for _, part := range []string{dir + " is full", "up to ", " MiB are needed", "iibake gc --store"} {
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want a full disk and %q", err, part)
		}
	}
}

// While others are at work the blocks of a failed import stay: somebody may count on them. A collection removes them.
func TestFullDiskInCompany(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	dir := t.TempDir()
	mountTmpfs(t, dir, "8m", 0)
	s := openStore(t, dir)
	unlock := shareLock(t, dir)
	_, err := s.Import(t.Context(), noiseFile(t, 1, 40), "", nil)
	wantFull(t, err, dir)
	if len(files(t, dir, "blocks")) == 0 {
		t.Error("blocks that somebody may count on are gone")
	}
	unlock()
	wantEmptied(t, s, dir)
}
