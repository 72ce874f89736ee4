package qemuimg_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/disk/qemuimg"
)

const diskSize = 4 << 20

func qemuImg(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "qemu-img", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img %v: %v\n%s", args, err, out)
	}
}

// rawDisk writes a sparse disk with something at both ends.
func rawDisk(t *testing.T, dir string) (string, []byte) {
	t.Helper()
	body := make([]byte, diskSize)
	copy(body, "boot")
	copy(body[diskSize-4:], "tail")
	path := filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, body
}

func scratch(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestToRawReadsRawAndQcow2(t *testing.T) {
	dir := t.TempDir()
	raw, body := rawDisk(t, dir)
	qcow2 := filepath.Join(dir, "disk.qcow2")
	qemuImg(t, "convert", "-f", "raw", "-O", "qcow2", "-c", raw, qcow2)
	for _, path := range []string{raw, qcow2} {
		f := scratch(t)
		if err := qemuimg.ToRaw(t.Context(), path, f); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(f.Name())
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%s: another content came out (%v)", path, err)
		}
	}
}

func TestToRawRefuses(t *testing.T) {
	dir := t.TempDir()
	raw, _ := rawDisk(t, dir)
	backed := filepath.Join(dir, "backed.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", backed)
	vmdk := filepath.Join(dir, "disk.vmdk")
	qemuImg(t, "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, vmdk)
	wants := map[string]string{backed: "flatten", vmdk: "vmdk", filepath.Join(dir, "gone"): "no such file"}
	for name, body := range map[string]string{
		"no disk image": "x", "gzip": "\x1f\x8b\x08\x08with its name", "xz": "\xfd7zXZ\x00", "zip": "PK\x03\x04", "bzip2": "BZh91AY", "vhdx": "vhdxfile",
		"git lfs pull": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
	} {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		wants[at] = name
	}
	for path, want := range wants {
		err := qemuimg.ToRaw(t.Context(), path, scratch(t))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something about %q", filepath.Base(path), err, want)
		}
	}
}

func TestFromRawWritesEveryFormat(t *testing.T) {
	dir := t.TempDir()
	raw, body := rawDisk(t, dir)
	f, err := os.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for format, qemuName := range map[qemuimg.Format]string{qemuimg.QCOW2: "qcow2", qemuimg.VMDK: "vmdk", qemuimg.VHD: "vpc"} {
		out := scratch(t)
		if err := qemuimg.FromRaw(t.Context(), f, out, format); err != nil {
			t.Fatal(err)
		}
		back := filepath.Join(dir, "back."+string(format))
		qemuImg(t, "convert", "-f", qemuName, "-O", "raw", out.Name(), back)
		got, err := os.ReadFile(back)
		if err != nil || !bytes.Equal(got[:diskSize], body) {
			t.Errorf("%s: another content comes back (%v)", format, err)
		}
	}
	if err := qemuimg.FromRaw(t.Context(), f, scratch(t), "iso"); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("unknown format: got %v", err)
	}
}

func TestFilesNeedNoName(t *testing.T) {
	raw, body := rawDisk(t, t.TempDir())
	in, err := os.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := disk.Scratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	if err := errors.Join(os.Remove(raw), qemuimg.FromRaw(t.Context(), in, out, qemuimg.QCOW2)); err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(t.TempDir(), "out.qcow2")
	if err := disk.Keep(out, named); err != nil {
		t.Fatal(err)
	}
	back := scratch(t)
	if err := qemuimg.ToRaw(t.Context(), named, back); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(back.Name()); err != nil || !bytes.Equal(got, body) {
		t.Errorf("another content comes back (%v)", err)
	}
}

func TestMissingToolIsNamed(t *testing.T) {
	raw, _ := rawDisk(t, t.TempDir())
	t.Setenv("PATH", t.TempDir())
	err := qemuimg.ToRaw(t.Context(), raw, scratch(t))
	if err == nil || !strings.Contains(err.Error(), "apt-get install qemu-utils") {
		t.Fatalf("got %v", err)
	}
}
