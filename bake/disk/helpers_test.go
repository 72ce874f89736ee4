package disk_test

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

func openStore(tb testing.TB, dir string) *disk.Store {
	tb.Helper()
	s, err := disk.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// newFile returns a file of size bytes that is one hole.
func newFile(tb testing.TB, size int64) *os.File {
	tb.Helper()
	f, err := os.CreateTemp(tb.TempDir(), "disk-*.raw")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	if err := f.Truncate(size); err != nil {
		tb.Fatal(err)
	}
	return f
}

func writeAt(tb testing.TB, f *os.File, offset int64, data []byte) {
	tb.Helper()
	if _, err := f.WriteAt(data, offset); err != nil {
		tb.Fatal(err)
	}
}

// noise returns n bytes that nothing compresses, the same ones for the same seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// noiseFile returns a file of blocks of noise.
func noiseFile(tb testing.TB, seed byte, blocks int) *os.File {
	tb.Helper()
	f := newFile(tb, 0)
	writeAt(tb, f, 0, noise(seed, blocks*disk.BlockSize))
	return f
}

func mustImport(tb testing.TB, s *disk.Store, f *os.File, base bake.Digest) bake.Digest {
	tb.Helper()
	d, err := s.Import(context.Background(), f, base, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func mustManifest(tb testing.TB, s *disk.Store, d bake.Digest) disk.Manifest {
	tb.Helper()
	m, err := s.Manifest(context.Background(), d)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// materialised returns the bytes of a disk.
func materialised(tb testing.TB, s *disk.Store, d bake.Digest) []byte {
	tb.Helper()
	f := newFile(tb, 0)
	if err := s.Materialise(context.Background(), d, f, nil); err != nil {
		tb.Fatal(err)
	}
	return content(tb, f)
}

func content(tb testing.TB, f *os.File) []byte {
	tb.Helper()
	info, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// wantClean fails unless everything in the store is as it should be.
func wantClean(tb testing.TB, s *disk.Store, live ...bake.Digest) {
	tb.Helper()
	problems, err := s.Verify(context.Background(), live, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range problems {
		tb.Error(p)
	}
}

// files returns the names in a folder of a store.
func files(tb testing.TB, dir, sub string) []string {
	tb.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wantFiles fails unless a folder of a store holds n files.
func wantFiles(tb testing.TB, dir, sub string, n int) {
	tb.Helper()
	if got := files(tb, dir, sub); len(got) != n {
		tb.Errorf("%s holds %d files, want %d: %s", sub, len(got), n, strings.Join(got, " "))
	}
}

// blockFile returns the path of a block in a store.
func blockFile(dir string, d bake.Digest) string { return filepath.Join(dir, "blocks", d.Hex()) }

// allocated returns how many bytes a file takes on its filesystem.
func allocated(tb testing.TB, f *os.File) int64 {
	tb.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		tb.Fatal(err)
	}
	return st.Blocks * 512
}

// holdLock takes a store's lock as a collection does, for the rest of the test.
func holdLock(tb testing.TB, dir string) {
	tb.Helper()
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		tb.Fatal(err)
	}
}

// shareLock takes a store's lock as a process that imports does.
func shareLock(t *testing.T, dir string) (unlock func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	return func() { _ = f.Close() }
}
