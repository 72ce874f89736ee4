package base_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/base"
)

// image stores a disk of random blocks with a hole and a cut-off end, and returns what it is to read as.
func image(t *testing.T, s *disk.Store, seed uint64) (bake.Digest, []byte) {
	t.Helper()
	content := make([]byte, 5*disk.BlockSize+4096)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(content)
	clear(content[disk.BlockSize : 3*disk.BlockSize])
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	d, err := s.Import(t.Context(), f, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return d, content
}

func store(t *testing.T) (s *disk.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, dir
}

func TestManyReadOneImage(t *testing.T) {
	s, _ := store(t)
	d, want := image(t, s, 1)
	images := base.New(s, t.TempDir())
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			r, leave, err := images.Open(t.Context(), d)
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			chance := rand.New(rand.NewPCG(1, uint64(n)))
			for range 30 {
				from := chance.IntN(len(want))
				to := from + chance.IntN(min(3*disk.BlockSize, len(want)-from)+1)
				got := make([]byte, to-from)
				if _, err := r.ReadAt(got, int64(from)); err != nil || !bytes.Equal(got, want[from:to]) {
					t.Errorf("%d to %d: %v", from, to, err)
				}
			}
			if n, err := r.ReadAt(make([]byte, 100), r.Size()-50); n != 50 || !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: %d, %v", n, err)
			}
		})
	}
	all.Wait()
	images.Close()
}

func TestUnusedImagesGo(t *testing.T) {
	s, _ := store(t)
	images := base.New(s, t.TempDir())
	files := func() int {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	var digests []bake.Digest
	for n := range uint64(6) {
		d, _ := image(t, s, n)
		digests = append(digests, d)
	}
	before := files()
	for _, d := range digests {
		r, leave, err := images.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadAt(make([]byte, 10), 0); err != nil {
			t.Error(err)
		}
		leave()
		leave() // twice is fine
	}
	if n := files() - before; n != 3 {
		t.Errorf("%d files are open", n)
	}
	images.Close()
	if n := files() - before; n != 0 {
		t.Errorf("%d files are open at the end", n)
	}
}

func TestDamage(t *testing.T) {
	s, dir := store(t)
	d, _ := image(t, s, 1)
	images := base.New(s, t.TempDir())
	if _, _, err := images.Open(t.Context(), bake.DigestOf(nil)); !errors.Is(err, disk.ErrNotFound) {
		t.Error(err)
	}
	blocks, err := os.ReadDir(filepath.Join(dir, "blocks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if err := os.WriteFile(filepath.Join(dir, "blocks", b.Name()), []byte("?"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, leave, err := images.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, disk.ErrCorrupt) {
		t.Error(err)
	}
	if got := make([]byte, 10); true {
		if _, err := r.ReadAt(got, disk.BlockSize); err != nil || !bytes.Equal(got, make([]byte, 10)) {
			t.Errorf("the hole: %v", err)
		}
	}
}
