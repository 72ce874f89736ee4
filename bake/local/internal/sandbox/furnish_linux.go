package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// scratch are the folders whose content is of no use in an image. They are in memory while programs run: it is worth ten
// times fewer changed blocks, and what is never written need not be erased.
func scratch() []string {
	return []string{
		"/run", "/tmp", "/var/tmp",
		"/var/cache/apt", "/var/lib/apt/lists", "/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum",
	}
}

func (m *image) mountScratch() error {
	for _, dir := range scratch() {
		at, info, err := m.folder(dir)
		if err != nil {
			return err
		}
		if info == nil {
			continue
		}
		if err := m.mountMemory(at, info); err != nil {
			return err
		}
	}
	return nil
}

// folder finds a folder of the image. Where there is none, or it is a link to one that is in memory already, info is nil.
func (m *image) folder(dir string) (at string, info fs.FileInfo, err error) {
	at, err = within.Locate(m.root, dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	info, err = os.Stat(at)
	if err != nil || !info.IsDir() {
		return "", nil, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil || st.Type == unix.TMPFS_MAGIC {
		return "", nil, err
	}
	return at, info, nil
}

func (m *image) mountMemory(at string, like fs.FileInfo) error {
	st, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("stat %s: unknown result", at)
	}
	m.memory = append(m.memory, at)
	options := fmt.Sprintf("mode=%04o,uid=%d,gid=%d", st.Mode&0o7777, st.Uid, st.Gid)
	return m.mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options)
}

// mountKernel mounts /proc and /sys. What would change the machine's kernel is read-only.
func (m *image) mountKernel() error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, kernel := range []struct {
		dir, kind string
		flags     uintptr
	}{{"/proc", "proc", flags}, {"/sys", "sysfs", flags | unix.MS_RDONLY}} {
		at, info, err := m.folder(kernel.dir)
		if err != nil {
			return err
		}
		if info == nil {
			continue
		}
		if err := m.mount(kernel.kind, at, kernel.kind, kernel.flags, ""); err != nil {
			return err
		}
	}
	sys := m.root + "/proc/sys"
	if _, err := os.Stat(sys); err != nil {
		return nil //nolint:nilerr // an image without /proc has none
	}
	if err := m.mount(sys, sys, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return unix.Mount("", sys, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|flags, "")
}

// makeDev mounts a /dev with the devices that every program may expect, and the root device under the names by which
// update-grub finds it.
func (m *image) makeDev() error {
	dev, info, err := m.folder("/dev")
	if err != nil || info == nil {
		return err
	}
	if err := m.mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755"); err != nil {
		return err
	}
	errs := []error{
		os.Mkdir(dev+"/pts", 0o755), os.Mkdir(dev+"/shm", 0o755), os.MkdirAll(dev+"/disk/by-uuid", 0o755),
		m.mount("devpts", dev+"/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
		m.mount("tmpfs", dev+"/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"),
	}
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		errs = append(errs, node(dev+"/"+name, unix.S_IFCHR|0o666, 1, minor))
	}
	errs = append(errs, node(dev+"/tty", unix.S_IFCHR|0o666, 5, 0))
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
		"disk/by-uuid/" + m.fs.uuid: "../../" + path.Base(m.disk.Dev),
	} {
		errs = append(errs, os.Symlink(target, dev+"/"+name))
	}
	errs = append(errs, loopNode(dev, m.disk.Dev))
	for _, p := range m.parts {
		errs = append(errs, loopNode(dev, p.dev.Name()), os.Symlink("../../"+path.Base(p.dev.Name()), dev+"/disk/by-uuid/"+p.fs.uuid))
	}
	return errors.Join(errs...)
}

// loopNode makes the node of a loop device below dev.
func loopNode(dev, loop string) error {
	minor, err := strconv.ParseUint(strings.TrimPrefix(path.Base(loop), "loop"), 10, 20)
	if err != nil {
		return err
	}
	return node(dev+"/"+path.Base(loop), unix.S_IFBLK|0o660, loopMajor, uint32(minor))
}

func node(at string, mode, major, minor uint32) error {
	if err := unix.Mknod(at, mode, int(unix.Mkdev(major, minor))); err != nil { //nolint:gosec // that is how the package wants it
		return fmt.Errorf("mknod %s: %w", at, err)
	}
	return os.Chmod(at, os.FileMode(mode&0o777)) // whatever the umask took away: apt downloads as a user without rights
}
