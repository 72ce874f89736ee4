package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake/internal/flock"
)

// Dir is a catalog in a folder of a file system that has locks. The folder holds
//
//	journal     a line that names the format, and a line for every change
//	pending     the value of the change that is being made, or was when its process died
//	data/KEY,v  the value of a record or a head: no key has a comma, so no file ever wants the name of a folder
//
// A change locks the journal, writes its value to pending, appends its entry to the journal, which makes it a fact, and moves
// pending to its place. Whoever takes the lock next completes a change that has its entry and drops one that has not, so
// that a process may die anywhere. Readers need no lock: values are moved into place whole.
type Dir struct {
	dir  string
	busy chan struct{} // held by the goroutine of this process that may try for the lock
}

// OpenDir returns the catalog in dir. Where nothing is there yet, the first change makes it. Anything else than a folder,
// and a catalog of a format that this release does not know, is an error.
func OpenDir(dir string) (*Dir, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("catalog %s: %w", dir, err)
	}
	d := &Dir{dir: abs, busy: make(chan struct{}, 1)}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("catalog %s: %w", abs, err)
	}
	d.resume()
	return d, nil
}

func (d *Dir) check() error {
	info, err := os.Stat(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a folder: name another place for the catalog")
	}
	f, err := os.Open(d.journal())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = readHeader(f)
	return err
}

// resume completes or drops what a killed process left, so that readers see it too. Where it cannot, because somebody is
// at work or the folder is read-only, the next change does.
func (d *Dir) resume() {
	if _, err := os.Lstat(d.pending()); err != nil {
		return
	}
	f, err := os.OpenFile(d.journal(), os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if flock.Try(f, flock.Exclusive) == nil {
		_, _ = d.load(f)
	}
}

func (d *Dir) journal() string { return filepath.Join(d.dir, "journal") }
func (d *Dir) pending() string { return filepath.Join(d.dir, "pending") }
func (d *Dir) data() string    { return filepath.Join(d.dir, "data") }

const valueSuffix = ",v"

func (d *Dir) path(key string) string {
	return filepath.Join(d.data(), filepath.FromSlash(key)+valueSuffix)
}

// Put implements [Catalog].
func (d *Dir) Put(ctx context.Context, key string, body []byte) error {
	if err := CheckRecord(key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if body == nil {
		body = []byte{} // nil would be a removal
	}
	err := d.change(ctx, opPut, key, body, func(now []byte) error {
		if now != nil && !bytes.Equal(now, body) {
			return fmt.Errorf("%w with another body", ErrExists)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Swap implements [Catalog].
func (d *Dir) Swap(ctx context.Context, head string, old, next []byte) error {
	if err := CheckHead(head); err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	err := d.change(ctx, opSwap, head, next, func(now []byte) error {
		if !same(now, old) {
			return ErrMoved
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("swap %s: %w", head, err)
	}
	return nil
}

// same is bytes.Equal, but nil, which means absent, equals only nil.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// change gives key a new value, or none where it is nil, unless it has it already or allow objects to the value that it has.
func (d *Dir) change(ctx context.Context, op, key string, value []byte, allow func(now []byte) error) error {
	f, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer d.unlock(f)
	j, err := d.load(f)
	if err != nil {
		return err
	}
	now, err := readValue(d.path(key))
	if err != nil {
		return err
	}
	if err := allow(now); err != nil || same(now, value) {
		return err
	}
	return d.commit(j, op, key, value)
}

// commit makes a change: four syncs, and one more for every new folder.
func (d *Dir) commit(j *journal, op, key string, value []byte) error {
	if err := mkdirAll(filepath.Dir(d.path(key))); err != nil {
		return err
	}
	if err := d.announce(value); err != nil {
		return errors.Join(err, remove(d.pending()))
	}
	e := entry{Op: op, Key: key, Value: digestOf(value)}
	err := j.append(e)
	if err == nil {
		err = d.place(e)
	}
	if err == nil {
		return d.finish(e)
	}
	if undone := j.undo(); undone != nil {
		return errors.Join(err, undone) // pending stays, in case the entry does too
	}
	return errors.Join(err, remove(d.pending()))
}

// announce makes pending durable, and the journal's name with it.
func (d *Dir) announce(value []byte) error {
	f, err := os.OpenFile(d.pending(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(d.dir)
}

// place does what e says, in any state that a killed process may have left.
func (d *Dir) place(e entry) error {
	if e.Value == "" {
		return remove(d.path(e.Key))
	}
	return os.Rename(d.pending(), d.path(e.Key))
}

// finish makes what place did durable, and only then forgets about it.
func (d *Dir) finish(e entry) error {
	return errors.Join(syncDir(filepath.Dir(d.path(e.Key))), remove(d.pending()))
}

// settle completes or drops the change that a killed process left behind.
func (d *Dir) settle(j *journal) error {
	value, err := os.ReadFile(d.pending())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if j.last.Key == "" || j.last.Value != "" && j.last.Value != digestOf(value) {
		return remove(d.pending())
	}
	if err := j.f.Sync(); err != nil { // the process may have died before it did
		return err
	}
	if err := mkdirAll(filepath.Dir(d.path(j.last.Key))); err != nil {
		return err
	}
	if err := d.place(j.last); err != nil {
		return err
	}
	return d.finish(j.last)
}

// Get implements [Catalog].
func (d *Dir) Get(ctx context.Context, key string) ([]byte, error) {
	if err := CheckKey(key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	value, err := readValue(d.path(key))
	if err == nil && value == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return value, nil
}

// List implements [Catalog].
func (d *Dir) List(ctx context.Context, prefix string) ([]string, error) {
	folder, _ := path.Split(prefix)
	if folder != "" && CheckKey(strings.TrimSuffix(folder, "/")) != nil {
		return nil, ctx.Err() // no key begins like this
	}
	var keys []string
	err := d.walk(ctx, folder, func(key string, _ fs.DirEntry) {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}, func(string) {})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	slices.Sort(keys)
	return keys, nil
}

// walk calls value for every key below folder, and alien for every other file.
func (d *Dir) walk(ctx context.Context, folder string, value func(key string, entry fs.DirEntry), alien func(name string)) error {
	top := filepath.Join(d.data(), filepath.FromSlash(folder))
	return filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if name == top && errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(d.data(), name)
		if err != nil {
			return err
		}
		key, ok := strings.CutSuffix(filepath.ToSlash(rel), valueSuffix)
		if ok && entry.Type().IsRegular() && CheckKey(key) == nil {
			value(key, entry)
		} else {
			alien(filepath.ToSlash(rel))
		}
		return nil
	})
}
