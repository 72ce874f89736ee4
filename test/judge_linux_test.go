package test_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test"
)

// imageOf returns an image whose disk is this boot sector, and the store that has it.
func imageOf(t *testing.T, code string) (bake.Image, *disk.Store) {
	t.Helper()
	store, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	body := make([]byte, 1<<20)
	copy(body, code)
	copy(body[510:], "\x55\xaa")
	if _, err := f.Write(body); err != nil {
		t.Fatal(err)
	}
	d, err := store.Import(t.Context(), f, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return bake.Image{Ref: bake.Ref{Name: "web", Version: "2026.11.22-1-gabc1234"}, Arch: bake.AMD64, Disk: d}, store
}

func judge(t *testing.T, code string) (test.Verdict, error) {
	t.Helper()
	img, store := imageOf(t, code)
	tpl := bake.Template{Name: "web", Arch: bake.AMD64, Tests: bake.Tests{Timeout: bake.Duration(20 * time.Minute), Boot: bake.Boot{
		Memory: 128 * bake.MiB, CPUs: 1, Timeout: bake.Duration(20 * time.Minute), Firmware: []bake.Firmware{bake.BIOS},
	}}}
	return test.Judge{Store: store, Scratch: t.TempDir()}.Judge(t.Context(), img, tpl, bake.Discard())
}

// A host that ends QEMU, for want of memory for example, says nothing of the image.
func TestHostEndsTheMachine(t *testing.T) {
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nulimit -t 2\nexec %s \"$@\"\n", qemu) // seconds of a processor
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(qemu)), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	v, err := judge(t, "\xeb\xfe") // for ever
	if err == nil || !strings.HasSuffix(err.Error(), "says nothing of the image: qemu-system-x86_64: signal: killed") {
		t.Errorf("got %+v, %v", v, err)
	}
}

// One that powers off by itself is judged.
func TestImageEndsTheMachine(t *testing.T) {
	v, err := judge(t, "\xba\x04\x06\xb8\x00\x20\xef\xf4") // as ACPI wants it
	if err != nil || v.Passed() || len(v.Results) != 1 || !strings.Contains(v.Results[0].Detail, "the guest powered off") {
		t.Errorf("got %+v, %v", v, err)
	}
}

// What runs in the machine is the program that judges, although an upgrade has removed its file.
func TestUpgradeDuringATest(t *testing.T) {
	const removed = "IIBAKE_TEST_REMOVED"
	if name := os.Getenv(removed); name != "" {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		TestImageEndsTheMachine(t)
		return
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, self, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, "-test.run=^TestUpgradeDuringATest$")
	cmd.Env = append(os.Environ(), removed+"="+name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
