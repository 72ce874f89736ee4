package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
)

// write puts a file in place: whole, and with its content on stable storage. Its name gets there by syncDir. The caller
// holds the store's lock, so that nobody takes the temporary file for one that was left behind.
func (s *Store) write(dir, name string, data []byte) (err error) {
	f, err := os.CreateTemp(s.path(tmpDir, ""), name[:min(12, len(name))]+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := fill(f, data); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path(dir, name))
}

func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir puts the names in a folder of the store on stable storage.
func (s *Store) syncDir(dir string) error {
	f, err := os.Open(s.path(dir, ""))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// explainFull tells what to do if err says that the filesystem of dir is full. need is how many bytes are missing at most.
func explainFull(err error, dir string, need int64) error {
	if !isFull(err) {
		return err
	}
	free := "an unknown amount"
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) == nil {
		free = mebibytes(int64(st.Bavail) * int64(st.Bsize)) //nolint:gosec,unconvert // the types differ between systems
	}
	return fmt.Errorf("%w: the filesystem of %s is full: up to %s are needed there and %s is free: free some space, "+
		"for example with iibake gc --store, and run the command again", err, dir, mebibytes(max(need, page)), free)
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+int64(bake.MiB)-1)/int64(bake.MiB)) }
