package disk_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// damages are what happens to files.
func damages() map[string]func(path string) error {
	edit := func(change func([]byte) []byte) func(string) error {
		return func(path string) error {
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, change(body), 0o600)
		}
	}
	return map[string]func(string) error{
		"flipped bit": edit(func(b []byte) []byte { b[len(b)/2] ^= 4; return b }),
		"first byte":  edit(func(b []byte) []byte { b[0] ^= 1; return b }),
		"truncated":   edit(func(b []byte) []byte { return b[:len(b)-1] }),
		"cut in half": edit(func(b []byte) []byte { return b[:len(b)/2] }),
		"emptied":     edit(func([]byte) []byte { return nil }),
		"too long":    edit(func(b []byte) []byte { return append(b, b...) }),
		"zeros":       edit(func([]byte) []byte { return make([]byte, disk.BlockSize) }),
		"missing":     os.Remove,
	}
}

func TestDamagedBlock(t *testing.T) {
	for name, damage := range damages() {
		for _, kind := range []string{"raw", "compressed"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				dir := t.TempDir()
				s := openStore(t, dir)
				f := noiseFile(t, 1, 3)
				if kind == "compressed" {
					writeAt(t, f, disk.BlockSize, bytes.Repeat([]byte("all work and no play "), disk.BlockSize/21))
				}
				d := mustImport(t, s, f, "")
				hurt := mustManifest(t, s, d).Blocks[1].Digest
				if err := damage(blockFile(dir, hurt)); err != nil {
					t.Fatal(err)
				}
				wantCorrupt(t, s, dir, f)
				// Importing the same content again heals the store.
				if again := mustImport(t, s, f, ""); again != d {
					t.Errorf("%s became %s", d, again)
				}
				wantClean(t, s, d)
				if !bytes.Equal(materialised(t, s, d), content(t, f)) {
					t.Error("the disk differs")
				}
			})
		}
	}
}

// wantCorrupt fails unless everybody who reads block 1 of the disk in f is told what is wrong.
func wantCorrupt(t *testing.T, s *disk.Store, dir string, f *os.File) {
	t.Helper()
	d := mustImport(t, openStore(t, t.TempDir()), f, "") // its name, without healing the store
	hurt := mustManifest(t, s, d).Blocks[1].Digest
	out := newFile(t, 0)
	err := s.Materialise(t.Context(), d, out, nil)
	for _, part := range []string{out.Name(), "block 1", blockFile(dir, hurt), "iibake build --force"} {
		if !errors.Is(err, disk.ErrCorrupt) || !strings.Contains(err.Error(), part) {
			t.Errorf("materialise: %v: want a corrupt store and %q", err, part)
		}
	}
	if len(content(t, out)) != 0 {
		t.Error("half a disk is left behind")
	}
	r, err := s.Reader(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, disk.ErrCorrupt) || n > disk.BlockSize {
		t.Errorf("reader: %v after %d bytes", err, n)
	}
	problems, err := s.Verify(t.Context(), nil, nil)
	if err != nil || len(problems) != 1 || problems[0].Disk != d || !strings.Contains(problems[0].String(), "block 1") {
		t.Errorf("verify: %v, %v", problems, err)
	}
}

// A block that the base has is not stored again, except where it is gone.
func TestMissingBlockOfBase(t *testing.T) {
	for _, name := range []string{"missing", "emptied"} {
		dir := t.TempDir()
		s := openStore(t, dir)
		f := noiseFile(t, 1, 2)
		d := mustImport(t, s, f, "")
		if err := damages()[name](blockFile(dir, mustManifest(t, s, d).Blocks[0].Digest)); err != nil {
			t.Fatal(err)
		}
		mustImport(t, s, f, d)
		wantClean(t, s, d)
	}
}

func TestDamagedManifest(t *testing.T) {
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			f := noiseFile(t, 1, 2)
			d := mustImport(t, s, f, "")
			path := filepath.Join(dir, "manifests", d.Hex())
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			want := disk.ErrCorrupt
			if name == "missing" {
				want = disk.ErrNotFound
			}
			if _, err := s.Manifest(t.Context(), d); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			problems, err := s.Verify(t.Context(), []bake.Digest{d}, nil)
			if err != nil || len(problems) != 1 || problems[0].Disk != d {
				t.Errorf("verify: %v, %v", problems, err)
			}
			if name != "missing" {
				wantRefusedCollection(t, s, dir, d)
			}
			if again := mustImport(t, s, f, ""); again != d {
				t.Errorf("%s became %s", d, again)
			}
			wantClean(t, s, d)
		})
	}
}

// A collection that cannot know which blocks an image has must not remove any.
func wantRefusedCollection(t *testing.T, s *disk.Store, dir string, d bake.Digest) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(t.Context(), []bake.Digest{d}, 0, false); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("collect: %v", err)
	}
	wantFiles(t, dir, "blocks", 2)
}
