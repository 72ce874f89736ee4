package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// policy is a policy-rc.d, by which maintainer scripts ask whether they may start a service. 101 is no.
const policy = "#!/bin/sh\nexit 101\n"

// lendFiles gives the image what its programs need while they run: the machine's resolver, a name for localhost, a
// policy against starting services, and a boot loader that is not afraid of loop devices.
func (m *image) lendFiles() error {
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	loans := []loan{
		{name: "/etc/resolv.conf", content: resolver, mode: 0o644},
		{name: "/usr/sbin/policy-rc.d", content: []byte(policy), mode: 0o755},
	}
	if _, err := within.Locate(m.root, "/etc/hosts"); errors.Is(err, os.ErrNotExist) {
		loans = append(loans, loan{name: "/etc/hosts", content: []byte("127.0.0.1 localhost\n::1 localhost\n"), mode: 0o644})
	}
	if _, err := within.Locate(m.root, GrubConfig); errors.Is(err, os.ErrNotExist) {
		loans = append(loans, loan{name: GrubConfig, content: []byte(GrubRoot), mode: 0o644})
	}
	for _, l := range loans {
		if err := m.lend(l); err != nil {
			return fmt.Errorf("lend %s: %w", l.name, err)
		}
	}
	return nil
}

// lent is where the content of loans lies, in memory.
const lent = "/run/iibake"

// loan is a file that the image has only while its programs run. It is a link into memory and not a mount, because packages
// replace /etc/resolv.conf, which a mount would refuse them.
type loan struct {
	root    string
	name    string
	content []byte
	mode    os.FileMode
}

func (m *image) lend(l loan) error {
	l.root = m.root
	if info, err := os.Stat(path.Join(m.root, path.Dir(l.name))); err != nil || !info.IsDir() {
		return nil // an image without the folder has no program that reads the file
	}
	// Many images have a link into /run already, where a service of theirs will write the file.
	if target := l.memoryLink(); target != "" {
		return l.write(target)
	}
	if err := l.write(l.target()); err != nil {
		return err
	}
	m.undo = append(m.undo, l.back)
	dir, err := l.dir()
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Rename(path.Base(l.name), l.saved()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return dir.Symlink(l.target(), path.Base(l.name))
}

func (l loan) target() string { return path.Join(lent, path.Base(l.name)) }

// saved is what the image's own file is called meanwhile.
func (l loan) saved() string { return "." + path.Base(l.name) + ".iibake" }

func (l loan) dir() (*os.Root, error) {
	at, err := within.Locate(l.root, path.Dir(l.name))
	if err != nil {
		return nil, err
	}
	return os.OpenRoot(at)
}

// memoryLink returns where a link of the image leads, if that is a place in memory.
func (l loan) memoryLink() string {
	target, err := within.Readlink(l.root, l.name)
	if err != nil {
		return ""
	}
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(l.name), target)
	}
	if target = path.Clean(target); strings.HasPrefix(target, "/run/") || strings.HasPrefix(target, "/var/run/") {
		return target
	}
	return ""
}

func (l loan) write(name string) error {
	if err := within.MkdirAll(l.root, path.Dir(name), nil); err != nil {
		return err
	}
	f, err := within.Open(l.root, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, l.mode)
	if err != nil {
		return err
	}
	_, err = f.Write(l.content)
	return errors.Join(err, f.Close())
}

// back puts the image's own file back, unless the step changed it: then the change stays.
func (l loan) back() error {
	dir, err := l.dir()
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	text, err := within.ReadFile(l.root, l.target())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type() != fs.ModeSymlink {
			continue
		}
		// A package may have moved our link away, to keep what it takes for the old file.
		if to, err := dir.Readlink(e.Name()); err != nil || to != l.target() {
			continue
		}
		if err := l.restore(dir, e.Name(), text); err != nil {
			return err
		}
	}
	if err := dir.Remove(l.saved()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// restore puts in the place of a link to our file what belongs there.
func (l loan) restore(dir *os.Root, name string, text []byte) error {
	if string(text) != string(l.content) {
		if err := dir.Remove(name); err != nil {
			return err
		}
		return dir.WriteFile(name, text, l.mode)
	}
	err := dir.Rename(l.saved(), name)
	if errors.Is(err, os.ErrNotExist) {
		return dir.Remove(name)
	}
	return err
}
