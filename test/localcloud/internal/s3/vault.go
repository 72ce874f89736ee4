package s3

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// vault keeps contents by name. A content comes with a label, which says what it is; both appear at once or not at all.
type vault interface {
	// create begins a content.
	create() (draft, error)
	// open returns a content that is there.
	open(name string) (content, error)
	// remove gives up a content, or all whose names begin with name and a slash.
	remove(name string) error
	// labels calls f with the label of each content whose name begins with prefix and a slash, in no order.
	labels(prefix string, f func(name string, label []byte) error) error
}

// draft is a content that nobody sees yet.
type draft interface {
	io.Writer
	// keep makes the draft the content of that name, in place of the one there was.
	keep(name string, label []byte) error
	// discard gives the draft up. It does nothing after keep.
	discard()
}

// content is a content to be read. Reading goes on also when it is replaced or removed.
type content struct {
	io.ReaderAt
	io.Closer
}

func openVault(dir string) (vault, error) {
	if dir == "" {
		return &memory{byName: map[string]item{}}, nil
	}
	scratch := filepath.Join(dir, "tmp")
	if err := os.RemoveAll(scratch); err != nil {
		return nil, fmt.Errorf("remove unfinished uploads: %w", err)
	}
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return nil, err
	}
	return folder{dir: filepath.Join(dir, "data"), scratch: scratch}, nil
}

// memory is a vault in memory.
type memory struct {
	mu     sync.Mutex
	byName map[string]item
}

type item struct{ body, label []byte }

func (m *memory) create() (draft, error) { return &page{vault: m}, nil }

func (m *memory) open(name string) (content, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.byName[name]
	if !ok {
		return content{}, fmt.Errorf("open %s: %w", name, os.ErrNotExist)
	}
	return content{bytes.NewReader(i.body), io.NopCloser(nil)}, nil
}

func (m *memory) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byName, name)
	for other := range m.byName {
		if strings.HasPrefix(other, name+"/") {
			delete(m.byName, other)
		}
	}
	return nil
}

func (m *memory) labels(prefix string, f func(string, []byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, i := range m.byName {
		if strings.HasPrefix(name, prefix+"/") {
			if err := f(name, i.label); err != nil {
				return err
			}
		}
	}
	return nil
}

// page is a draft in memory.
type page struct {
	bytes.Buffer
	vault *memory
}

func (p *page) keep(name string, label []byte) error {
	p.vault.mu.Lock()
	defer p.vault.mu.Unlock()
	p.vault.byName[name] = item{p.Bytes(), label}
	return nil
}

func (p *page) discard() {}

// folder is a vault of files. A file is the content, the label, the length of the label in eight bytes, and a mark. It is written beside and
// then renamed: that a process is killed harms nothing. That the host loses power may cost what was written last, for nothing is synced.
type folder struct{ dir, scratch string }

const (
	mark    = "iibakeS3"
	endSize = 8 + len(mark)
)

func (v folder) create() (draft, error) {
	f, err := os.CreateTemp(v.scratch, "")
	if err != nil {
		return nil, err
	}
	return &sheet{File: f, vault: v}, nil
}

func (v folder) path(name string) string { return filepath.Join(v.dir, filepath.FromSlash(name)) }

func (v folder) open(name string) (content, error) {
	f, err := os.Open(v.path(name))
	if err != nil {
		return content{}, err
	}
	return content{f, f}, nil
}

func (v folder) remove(name string) error { return os.RemoveAll(v.path(name)) }

func (v folder) labels(prefix string, f func(string, []byte) error) error {
	root := v.path(prefix)
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		label, err := readLabel(path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		name, err := filepath.Rel(v.dir, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(name), label)
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

var errDamaged = errors.New("the file is not whole: remove it")

// readLabel returns the label of a file.
func readLabel(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := make([]byte, endSize)
	if _, err := f.ReadAt(end, info.Size()-int64(endSize)); err != nil || string(end[8:]) != mark {
		return nil, errDamaged
	}
	size := binary.BigEndian.Uint64(end)
	if size > uint64(info.Size()) { //nolint:gosec // no file has a negative size
		return nil, errDamaged
	}
	label := make([]byte, size)
	_, err = f.ReadAt(label, info.Size()-int64(endSize)-int64(size)) //nolint:gosec // not above the size of the file
	return label, err
}

// sheet is a draft in a file.
type sheet struct {
	*os.File
	vault folder
	kept  bool
}

func (s *sheet) keep(name string, label []byte) error {
	end := binary.BigEndian.AppendUint64(bytes.Clone(label), uint64(len(label)))
	if _, err := s.Write(append(end, mark...)); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	path := s.vault.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Rename(s.Name(), path); err != nil {
		return err
	}
	s.kept = true
	return nil
}

func (s *sheet) discard() {
	if !s.kept {
		_ = s.Close()
		_ = os.Remove(s.Name())
	}
}
