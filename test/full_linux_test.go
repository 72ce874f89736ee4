package test_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/test"
)

// An image must not get a bad verdict because this host's disk is full.
func TestFullHost(t *testing.T) {
	dir := smallFolder(t)
	if err := test.Full(dir); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(dir + "/overlay")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for chunk := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(chunk)
	}
	if err := test.Full(dir); err == nil || !strings.Contains(err.Error(), "is full, so that what failed says nothing of the image") {
		t.Errorf("after %v: %v", err, err)
	}
	if err := test.Full(dir + "/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// smallFolder returns a folder on a filesystem of 4 MiB that is mounted nowhere.
func smallFolder(t *testing.T) string {
	t.Helper()
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fs) }()
	if err := errors.Join(unix.FsconfigSetString(fs, "size", "4m"), unix.FsconfigCreate(fs)); err != nil {
		t.Fatal(err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(mount) })
	return fmt.Sprintf("/proc/self/fd/%d", mount)
}
