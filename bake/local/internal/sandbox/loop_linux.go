package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/internal/pause"
)

const (
	loopControl = "/dev/loop-control"
	loopMajor   = 7
	attachTries = 200              // other programs take free devices at the same time
	detachLimit = 30 * time.Second // the kernel writes back what is left before it lets go
	pollEvery   = 2 * time.Millisecond
)

// loop is an attached loop device. It detaches itself when the last descriptor of it is closed and it is not mounted.
type loop struct {
	path string
	tag  string   // in the device's status: tells our attachment from a later one
	file *os.File // read-only, so that kernels which forbid writing to mounted devices let it be mounted
}

// attach makes a loop device of root.
func attach(ctx context.Context, root Root) (*loop, error) {
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, noLoop(err)
	}
	defer func() { _ = control.Close() }()
	tag := fmt.Sprintf("iibake %d %d", os.Getpid(), time.Now().UnixNano())
	for range attachTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, noLoop(err)
		}
		l := &loop{path: "/dev/loop" + strconv.Itoa(n), tag: tag}
		err = l.configure(n, root)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) {
			return nil, noLoop(err)
		}
		if err := pause.For(ctx, pollEvery); err != nil {
			return nil, err
		}
	}
	return nil, noLoop(unix.EBUSY)
}

func noLoop(err error) error {
	return fmt.Errorf("%w: attach a loop device: %w: run modprobe loop; in a container, start it with --privileged and -v /dev:/dev",
		ErrUnavailable, err)
}

func (l *loop) configure(n int, root Root) error {
	mode := os.O_RDWR
	info := unix.LoopInfo64{
		Offset: uint64(root.Offset), Sizelimit: uint64(root.Size), //nolint:gosec // never negative
		Flags: unix.LO_FLAGS_AUTOCLEAR,
	}
	if root.ReadOnly {
		mode = os.O_RDONLY
		info.Flags |= unix.LO_FLAGS_READ_ONLY
	}
	copy(info.File_name[:len(info.File_name)-1], l.tag)
	dev, err := openNode(l.path, n, mode)
	if err != nil {
		return err
	}
	defer func() { _ = dev.Close() }()
	config := unix.LoopConfig{Fd: uint32(root.Disk.Fd()), Info: info} //nolint:gosec // descriptors are small
	if err := unix.IoctlLoopConfigure(int(dev.Fd()), &config); err != nil {
		return fmt.Errorf("configure %s: %w", l.path, err)
	}
	l.file, err = os.Open(l.path)
	return err
}

// openNode opens a loop device. In a container /dev does not follow the kernel: the node may be missing.
func openNode(path string, n, mode int) (*os.File, error) {
	f, err := os.OpenFile(path, mode|unix.O_CLOEXEC, 0)
	if !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	err = unix.Mknod(path, unix.S_IFBLK|0o660, int(unix.Mkdev(loopMajor, uint32(n)))) //nolint:gosec // a minor number has 20 bits
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("mknod %s: %w", path, err)
	}
	return os.OpenFile(path, mode|unix.O_CLOEXEC, 0)
}

// wait returns when the device no longer holds the disk. The caller has closed its file.
func (l *loop) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), detachLimit)
	defer cancel()
	for l.attached() {
		if pause.For(ctx, pollEvery) != nil {
			return fmt.Errorf("%s is still attached %v after its last use: find its user with fuser -v %s", l.path, detachLimit, l.path)
		}
	}
	return nil
}

func (l *loop) attached() bool {
	f, err := os.Open(l.path)
	if err != nil {
		return errors.Is(err, unix.ENXIO) // it is being detached right now
	}
	defer func() { _ = f.Close() }()
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	return err == nil && unix.ByteSliceToString(info.File_name[:]) == l.tag
}
