package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	defer reportCPU(b)()
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
	defer reportCPU(b)()
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
	defer reportCPU(b)()
	for b.Loop() {
		mustImport(b, s, f, base)
	}
}

func BenchmarkMaterialise(b *testing.B) {
	f := benchDisk(b, 2<<30, 512<<20)
	s := openStore(b, b.TempDir())
	d := mustImport(b, s, f, "")
	defer reportCPU(b)()
	for b.Loop() {
		out := newFile(b, 0)
		if err := s.Materialise(context.Background(), d, out, nil); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_, _ = out.Close(), os.Remove(out.Name())
		b.StartTimer()
	}
}

// reportCPU reports the processor time of an operation, which unlike the time on the clock says something on a busy machine.
// It includes what is done while the timer stands still.
func reportCPU(b *testing.B) (done func()) {
	b.Helper()
	before := cpuTime(b)
	return func() { b.ReportMetric((cpuTime(b)-before)*1000/float64(b.N), "cpu-ms/op") }
}

// cpuTime returns the seconds that this process has computed for.
func cpuTime(b *testing.B) float64 {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// BenchmarkMemory reports the peak memory of a process that imports an 8 GiB disk with 2 GiB of data, imports it again on top
// of that, and materialises it.
func BenchmarkMemory(b *testing.B) {
	f := benchDisk(b, 8<<30, 2<<30)
	for b.Loop() {
		out, err := child(b.Context(), "memory", b.TempDir(), f.Name(), filepath.Join(b.TempDir(), "out.raw")).Output()
		if err != nil {
			b.Fatal(err)
		}
		peak, err := strconv.ParseFloat(string(out), 64)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(peak/(1<<20), "peak-MiB")
	}
}

// childMemory prints the bytes of memory that it needed at most.
func childMemory(args []string) error {
	s, err := disk.Open(args[0])
	if err != nil {
		return err
	}
	d, err := importFile(s, args[1], "")
	if err != nil {
		return err
	}
	if d, err = importFile(s, args[1], d); err != nil {
		return err
	}
	out, err := os.Create(args[2])
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	if err := s.Materialise(context.Background(), d, out, nil); err != nil {
		return err
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	_, err = fmt.Print(usage.Maxrss << 10) // in KiB on Linux
	return err
}
