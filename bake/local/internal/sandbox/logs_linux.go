package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepLogs puts /var/log in memory. Services want their folders and files there, with the owners and modes that their
// packages gave them, so the tree goes there and comes back; only what was logged does not.
func (m *image) keepLogs() error {
	at, info, err := m.folder("/var/log")
	if err != nil || info == nil {
		return err
	}
	below := filepath.Join(filepath.Dir(m.root), "log")
	if err := os.Mkdir(below, 0o755); err != nil {
		return err
	}
	if err := m.mount(at, below, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := m.mountMemory(at, info); err != nil {
		return err
	}
	if err := (shape{from: below, to: at}).copy(); err != nil {
		return err
	}
	m.undo = append(m.undo, func() error { return (shape{from: at, to: below}).copy() })
	return nil
}

// shape makes one tree have the folders, files and links of another, but none of the new content. What fits already is not
// touched, so that nothing is written for it.
type shape struct{ from, to string }

func (s shape) copy() error {
	err := filepath.WalkDir(s.from, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.from, p)
		if err != nil {
			return err
		}
		return s.entry(p, filepath.Join(s.to, name))
	})
	if err != nil {
		return err
	}
	return s.prune()
}

// prune removes what from does not have.
func (s shape) prune() error {
	return filepath.WalkDir(s.to, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.to, p)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(s.from, name)); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.RemoveAll(p); err != nil { //nolint:gosec // nothing else runs in the sandbox now
			return err
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

func (s shape) entry(from, to string) error {
	var want, have unix.Stat_t
	if err := unix.Lstat(from, &want); err != nil {
		return err
	}
	err := unix.Lstat(to, &have)
	if err == nil && have.Mode&unix.S_IFMT != want.Mode&unix.S_IFMT {
		err = errors.Join(os.RemoveAll(to), unix.ENOENT)
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		if made, err := s.create(from, to, want.Mode); err != nil || !made {
			return err
		}
	case err != nil:
		return err
	case have.Mode == want.Mode && have.Uid == want.Uid && have.Gid == want.Gid:
		return nil
	}
	if err := os.Lchown(to, int(want.Uid), int(want.Gid)); err != nil {
		return err
	}
	if want.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	return errors.Join(syscall.Chmod(to, want.Mode&0o7777), copyACL(from, to))
}

// create makes an empty file, a folder or a link. Sockets and the like do not outlive their program.
func (s shape) create(from, to string, mode uint32) (bool, error) {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return true, os.Mkdir(to, 0o700)
	case unix.S_IFREG:
		return true, os.WriteFile(to, nil, 0o600)
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err != nil {
			return false, err
		}
		return true, os.Symlink(target, to)
	}
	return false, nil
}

// copyACL copies access control lists: the journal's folder has one. A filesystem without them is no error.
func copyACL(from, to string) error {
	buf := make([]byte, 4<<10)
	for _, name := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		n, err := unix.Lgetxattr(from, name, buf)
		if err != nil {
			continue
		}
		if err := unix.Lsetxattr(to, name, buf[:n], 0); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return &os.PathError{Op: "set ACL", Path: to, Err: err}
		}
	}
	return nil
}
