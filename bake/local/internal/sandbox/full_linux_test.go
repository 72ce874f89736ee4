package sandbox_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

// smallHost returns an empty file on a filesystem with room for size, which is mounted nowhere and gone with the file.
func smallHost(t *testing.T, size string) *os.File {
	t.Helper()
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fs) }()
	if err := errors.Join(unix.FsconfigSetString(fs, "size", size), unix.FsconfigCreate(fs)); err != nil {
		t.Fatal(err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(mount) }()
	fd, err := unix.Openat(mount, "disk", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "/small/disk")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestHostDiskFull(t *testing.T) {
	for name, script := range map[string]string{
		"noticed by nobody":     "dd if=/dev/urandom of=/root/big bs=1M count=30",
		"noticed by fsync":      "dd if=/dev/urandom of=/root/big bs=1M count=30 && sync",
		"metadata":              "cd /root && seq 30000 | xargs mkdir",
		"both disks are full":   "cat /dev/urandom > /root/big",
		"program failed anyway": "dd if=/dev/urandom of=/root/big bs=1M count=30; exit 1",
	} {
		t.Run(name, func(t *testing.T) {
			disk := smallHost(t, "16m")
			sparse(t, disk, busybox(t))
			_, err := sh(t, disk, script)
			if !errors.Is(err, sandbox.ErrHostFull) {
				t.Fatal(err)
			}
			t.Log(err)
			sandboxtest.NothingLeft(t)
		})
	}
}

// A larger disk would not help where memory is full.
func TestMemoryFull(t *testing.T) {
	_, err := sh(t, busybox(t), "mount -o remount,size=64k /var/tmp && cat /dev/zero > /var/tmp/big")
	if err == nil || errors.Is(err, sandbox.ErrGuestFull) || !strings.Contains(err.Error(), "/var/tmp is in memory while the image is built, and full") {
		t.Errorf("error = %v", err)
	}
	if _, err = sh(t, busybox(t), "mount -o remount,size=64k /tmp; cat /dev/zero > /tmp/big || cat /dev/zero > /root/big"); !errors.Is(err, sandbox.ErrGuestFull) {
		t.Errorf("where both are full: %v", err)
	}
}

// sparse copies a disk without its holes.
func sparse(t *testing.T, to, from *os.File) {
	t.Helper()
	info, err := from.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Truncate(info.Size()); err != nil {
		t.Fatal(err)
	}
	for at := int64(0); ; {
		data, err := from.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return
		}
		hole, err2 := from.Seek(data, unix.SEEK_HOLE)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, data), io.NewSectionReader(from, data, hole-data)); err != nil {
			t.Fatal(err)
		}
		at = hole
	}
}
