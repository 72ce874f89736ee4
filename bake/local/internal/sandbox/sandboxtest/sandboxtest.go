//go:build linux

// Package sandboxtest makes small images to test with, and finds what a sandbox left behind.
package sandboxtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Files is a tree: names and contents. A name that ends in a slash is a folder, a content that begins with "->" a link.
type Files map[string]string

// Write makes the tree below dir. Files below bin and sbin are executable.
func (f Files) Write(t testing.TB, dir string) {
	t.Helper()
	for name, content := range f {
		at := filepath.Join(dir, name)
		mode := os.FileMode(0o644)
		if strings.Contains("/"+filepath.Dir(name), "bin") {
			mode = 0o755
		}
		var err error
		target, link := strings.CutPrefix(content, "->")
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(at, 0o755)
		case link:
			_ = os.MkdirAll(filepath.Dir(at), 0o755)
			err = os.Symlink(target, at)
		default:
			_ = os.MkdirAll(filepath.Dir(at), 0o755)
			err = os.WriteFile(at, []byte(content), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Busybox returns a tree with a shell and the usual programs, and the folders of a root filesystem.
func Busybox(t testing.TB) Files {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v: install busybox-static", err)
	}
	f := Files{"bin/busybox": string(program)}
	out, err := exec.CommandContext(t.Context(), "/bin/busybox", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if name != "busybox" {
			f["bin/"+name] = "->busybox"
		}
	}
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "root", "usr/sbin", "var/tmp", "var/log", "var/cache/apt", "var/lib/apt/lists"} {
		f[dir+"/"] = ""
	}
	f["etc/passwd"] = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www:/var/www:/bin/false\n"
	f["etc/group"] = "root:x:0:\nwww-data:x:33:\n"
	return f
}

// Disk returns an ext4 disk of size bytes that holds a tree. Like the builder's it has no name.
func Disk(t testing.TB, size int64, files Files, mkfs ...string) *os.File {
	t.Helper()
	tree := t.TempDir()
	files.Write(t, tree)
	return DiskOf(t, size, tree, mkfs...)
}

// DiskOf returns an ext4 disk of size bytes that holds the content of a folder.
func DiskOf(t testing.TB, size int64, tree string, mkfs ...string) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	disk, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	if err := disk.Truncate(size); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-q", "-F", "-d", tree}, mkfs...)
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", append(args, name)...).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	return disk
}

const patience = 2 * time.Minute // for the kernel to clean up behind a killed program

// NothingLeft fails the test where a process of a sandbox of this test binary, or a loop device of a file in the test's own
// folders, is still there after a while. Other tests run at the same time.
func NothingLeft(t testing.TB) {
	t.Helper()
	end := time.Now().Add(patience)
	name, _, _ := strings.Cut(t.Name(), "/")
	for {
		left := append(loops(t, filepath.Join(os.TempDir(), name)), processes(t)...)
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %v", left)
		}
		time.Sleep(5 * time.Millisecond)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), "/dev/loop") && strings.Contains(string(mounts), " /boot/root ") {
		t.Fatalf("a mount is left behind:\n%s", mounts)
	}
}

// processes lists the sandboxes of this test binary that are still running.
func processes(t testing.TB) []string {
	t.Helper()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, dir := range dirs {
		exe, _ := os.Readlink(dir + "/exe")
		args, _ := os.ReadFile(dir + "/cmdline")
		if exe == self && bytes.HasPrefix(args, []byte("iibake-sandbox")) {
			left = append(left, dir)
		}
	}
	return left
}

// loops lists the loop devices of files whose path begins with prefix.
func loops(t testing.TB, prefix string) []string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, name := range files {
		if of, _ := os.ReadFile(name); strings.HasPrefix(string(of), prefix) {
			left = append(left, name+" "+strings.TrimSpace(string(of)))
		}
	}
	return left
}
