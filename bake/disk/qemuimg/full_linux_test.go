package qemuimg_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/disk/qemuimg"
)

func TestToRawNamesTheFullDisk(t *testing.T) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fs) }()
	if err := errors.Join(unix.FsconfigSetString(fs, "size", "64k"), unix.FsconfigCreate(fs)); err != nil {
		t.Fatal(err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(mount) }()
	f, err := disk.Scratch(fmt.Sprintf("/proc/self/fd/%d", mount))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	raw, _ := rawDisk(t, t.TempDir())
	if err := qemuimg.ToRaw(t.Context(), raw, f); err == nil || !strings.HasSuffix(err.Error(), "make room on the filesystem of "+filepath.Dir(f.Name())) {
		t.Errorf("error = %v", err)
	}
}
