package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// copier copies from a repository into an image. What is there already as it should be is not written again.
type copier struct {
	root  string // of the image
	repo  *os.Root
	mode  os.FileMode // 0: as git sees the file
	owner owner
}

func copyTree(root, dir string, c bake.Copy) error {
	repo, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = repo.Close() }()
	who, err := lookupOwner(root, c.Owner)
	if err != nil {
		return err
	}
	k := copier{root: root, repo: repo, mode: os.FileMode(c.Mode), owner: who}
	from := path.Clean(c.From)
	info, err := repo.Stat(from) // what the bake key counts, too: a link that is named stands for what it leads to
	if err != nil {
		return err
	}
	if info.IsDir() {
		return k.folder(from, target(c, true))
	}
	return k.file(from, target(c, false), info)
}

// target returns the path in the image that From becomes.
func target(c bake.Copy, folder bool) string {
	into := strings.HasSuffix(c.To, "/")
	if into && (!folder || !strings.HasSuffix(c.From, "/")) {
		return path.Join(c.To, path.Base(path.Clean(c.From)))
	}
	return path.Clean(c.To)
}

func (k copier) folder(from, to string) error {
	return fs.WalkDir(k.repo.FS(), from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".git" && p != from { // history is never meant; in submodules and linked work trees it is a file
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		at := path.Join(to, strings.TrimPrefix(strings.TrimPrefix(p, from), "/"))
		if from == "." {
			at = path.Join(to, p)
		}
		if info.IsDir() {
			return k.mkdir(at)
		}
		return k.file(p, at, info)
	})
}

func (k copier) mkdir(at string) error {
	if info, err := k.stat(at); err == nil && !info.IsDir() {
		return fmt.Errorf("copy: %s is a file in the image, and a folder in the repository: remove it in an earlier step", at)
	}
	if err := within.MkdirAll(k.root, path.Dir(at), nil); err != nil {
		return err
	}
	return within.MkdirAll(k.root, at, func(f *os.File) error { return f.Chown(k.owner.uid, k.owner.gid) })
}

// stat looks at what at leads to.
func (k copier) stat(at string) (os.FileInfo, error) {
	f, err := within.Open(k.root, at, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return f.Stat()
}

// file copies a file or a link.
func (k copier) file(from, at string, info fs.FileInfo) error {
	if err := within.MkdirAll(k.root, path.Dir(at), nil); err != nil {
		return err
	}
	dir, err := within.Open(k.root, path.Dir(at), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	// The image's programs do not run now, so that nobody moves the folder away from under the path of its descriptor.
	place, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	if err != nil {
		return err
	}
	defer func() { _ = place.Close() }()
	name := path.Base(at)
	old, err := place.Lstat(name)
	if err == nil && old.IsDir() {
		return fmt.Errorf("copy: %s is a folder in the image: write %s/ to copy into it", at, at)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		err = k.link(from, place, name, old)
	case info.Mode().IsRegular():
		err = k.regular(from, place, name, old, info)
	default:
		err = errors.New("neither a file nor a folder nor a link")
	}
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, at, err)
	}
	return nil
}

// unfinished returns what a file is called while it is being written: nothing that is there already.
func unfinished(place *os.Root, name string) string {
	for n := 0; ; n++ {
		at := fmt.Sprintf(".iibake-%d-%s", n, name[:min(len(name), 200)])
		if _, err := place.Lstat(at); err != nil {
			return at
		}
	}
}

func (k copier) link(from string, place *os.Root, name string, old fs.FileInfo) error {
	target, err := k.repo.Readlink(from)
	if err != nil {
		return err
	}
	if have, err := place.Readlink(name); err == nil && have == target {
		if k.owns(old) {
			return nil
		}
		return place.Lchown(name, k.owner.uid, k.owner.gid)
	}
	aside := unfinished(place, name)
	return errors.Join(
		place.Symlink(target, aside),
		place.Lchown(aside, k.owner.uid, k.owner.gid),
		place.Rename(aside, name),
	)
}

func (k copier) regular(from string, place *os.Root, name string, old, info fs.FileInfo) error {
	in, err := k.repo.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	mode := k.mode
	if mode == 0 {
		mode = 0o644
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
	}
	same, err := equal(in, place, name, old, info.Size())
	if err != nil {
		return err
	}
	if same {
		return k.adjust(place, name, mode, old)
	}
	aside := unfinished(place, name)
	if err := k.write(in, place, aside, mode); err != nil {
		return errors.Join(err, place.Remove(aside))
	}
	return place.Rename(aside, name)
}

func (k copier) write(in *os.File, place *os.Root, name string, mode os.FileMode) error {
	out, err := place.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	// Changing the owner takes set-user-id bits away: the mode comes last.
	return errors.Join(err, out.Chown(k.owner.uid, k.owner.gid), syscall.Fchmod(int(out.Fd()), uint32(mode)), out.Close())
}

// adjust gives a file the owner and mode that it should have.
func (k copier) adjust(place *os.Root, name string, mode os.FileMode, old fs.FileInfo) error {
	if st, ok := old.Sys().(*syscall.Stat_t); ok && k.owns(old) && st.Mode&0o7777 == uint32(mode) {
		return nil
	}
	f, err := place.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chown(k.owner.uid, k.owner.gid), syscall.Fchmod(int(f.Fd()), uint32(mode)), f.Close())
}

func (k copier) owns(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == k.owner.uid && int(st.Gid) == k.owner.gid
}

// equal reports whether the file of the image holds what in does. in is at its beginning afterwards.
func equal(in io.ReadSeeker, place *os.Root, name string, old fs.FileInfo, size int64) (bool, error) {
	if old == nil || !old.Mode().IsRegular() || old.Size() != size {
		return false, nil
	}
	have, err := place.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { _ = have.Close() }()
	a, b := make([]byte, 128<<10), make([]byte, 128<<10)
	for {
		n, errA := io.ReadFull(in, a)
		m, errB := io.ReadFull(have, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			_, err := in.Seek(0, io.SeekStart)
			return false, err
		}
		if errA != nil || errB != nil {
			return errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF), nil
		}
	}
}
