package disk_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// benchDisk is a 2 GiB disk with 0.5 GiB of data that compresses about as well as a root filesystem does.
func benchDisk(b *testing.B, size, data int64) *os.File {
	b.Helper()
	f := newFile(b, size)
	random := rand.NewChaCha8([32]byte{7})
	block := make([]byte, disk.BlockSize)
	stride := size / data
	for i := int64(0); i < data/disk.BlockSize; i++ {
		fillHalf(random, block)
		if _, err := f.WriteAt(block, i*stride*disk.BlockSize); err != nil {
			b.Fatal(err)
		}
	}
	return f
}

// fillHalf fills b with stretches of random bytes and of repeated text.
func fillHalf(random *rand.ChaCha8, b []byte) {
	_, _ = random.Read(b)
	for i := 0; i < len(b); i += 4096 {
		copy(b[i:i+2300], strings.Repeat("lib/x86_64-linux-gnu ", 110))
	}
}

func BenchmarkImportCold(b *testing.B) {
	f := benchDisk(b, 2<<30, 512<<20)
	for b.Loop() {
		b.StopTimer()
		s := openStore(b, filepath.Join(b.TempDir(), "store"))
		b.StartTimer()
		mustImport(b, s, f, "")
	}
}

// BenchmarkImportLast is the case that has to be quick: a step was run, and 20 blocks differ.
func BenchmarkImportLast(b *testing.B) {
	f := benchDisk(b, 2<<30, 512<<20)
	s := openStore(b, b.TempDir())
	base := mustImport(b, s, f, "")
	for b.Loop() {
		b.StopTimer()
		for i := range int64(20) {
			writeAt(b, f, i*77*disk.BlockSize+4096, []byte(strconv.FormatUint(rand.Uint64(), 10)))
		}
		b.StartTimer()
		mustImport(b, s, f, base)
	}
}

func BenchmarkImportUnchanged(b *testing.B) {
	f := benchDisk(b, 2<<30, 512<<20)
	s := openStore(b, b.TempDir())
	base := mustImport(b, s, f, "")
	for b.Loop() {
		mustImport(b, s, f, base)
	}
}

func BenchmarkMaterialise(b *testing.B) {
	f := benchDisk(b, 2<<30, 512<<20)
	s := openStore(b, b.TempDir())
	d := mustImport(b, s, f, "")
	for b.Loop() {
		out := newFile(b, 0)
		if err := s.Materialise(context.Background(), d, out, nil); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_ = os.Remove(out.Name())
		b.StartTimer()
	}
}

func mustImport(tb testing.TB, s *disk.Store, f *os.File, base bake.Digest) bake.Digest {
	tb.Helper()
	d, err := s.Import(context.Background(), f, base, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
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
