package ec2_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/test/localcloud"
)

// The benchmarks speak HTTP to the local cloud: to that of ENDPOINT, or else to one in this process whose clock goes with the host's.
//
//	go test ./bake/ec2 -run '^$' -bench . -benchtime 1x
//
// COLDSNAP names a coldsnap to be measured on the same disk and endpoint; scripts/bench.d/upload does all that.

// benchMiB is the size of the disk.
const benchMiB = 512

// bench is a disk in a store, and an endpoint to send it to.
type bench struct {
	endpoint string
	file     string // the disk
	store    *disk.Store
	catalog  catalog.Catalog
	n        int
}

func newBench(b *testing.B) *bench {
	b.Helper()
	x := &bench{endpoint: os.Getenv("ENDPOINT"), file: filepath.Join(b.TempDir(), "disk")}
	if x.endpoint == "" {
		x.endpoint = serve(b)
	}
	var err error
	x.store, err = disk.Open(b.TempDir())
	ok(b, err)
	b.Cleanup(func() { ok(b, x.store.Close()) })
	x.catalog, err = catalog.OpenDir(b.TempDir())
	ok(b, err)
	return x
}

func serve(b *testing.B) string {
	b.Helper()
	cloud, err := localcloud.New(localcloud.Config{Simulate: true, Speed: 1})
	ok(b, err)
	var listen net.ListenConfig
	l, err := listen.Listen(b.Context(), "tcp", "127.0.0.1:0")
	ok(b, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	served := make(chan error, 1)
	go func() { served <- cloud.Serve(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		ok(b, <-served)
		ok(b, cloud.Close())
	})
	return "http://" + l.Addr().String()
}

// fill writes the disk: half of each block cannot be compressed. No two runs have a block in common.
func (x *bench) fill(b *testing.B) {
	b.Helper()
	f, err := os.Create(x.file)
	ok(b, err)
	defer func() { ok(b, f.Close()) }()
	random := rand.NewChaCha8([32]byte{byte(time.Now().UnixNano()), byte(time.Now().UnixNano() >> 8), byte(x.n)})
	block := []byte(strings.Repeat("all work and no play", disk.BlockSize/20+1))[:disk.BlockSize]
	for range benchMiB << 20 / disk.BlockSize {
		_, _ = random.Read(block[:disk.BlockSize/2])
		_, err := f.Write(block)
		ok(b, err)
	}
}

// change writes some blocks, spread over the disk.
func (x *bench) change(b *testing.B, blocks int) {
	b.Helper()
	f, err := os.OpenFile(x.file, os.O_WRONLY, 0)
	ok(b, err)
	defer func() { ok(b, f.Close()) }()
	for i := range blocks {
		_, err := fmt.Fprintf(&offset{f, int64(i) * (benchMiB << 20 / int64(blocks))}, "%d of %d at %v", i, x.n, time.Now())
		ok(b, err)
	}
}

// offset writes at a place.
type offset struct {
	f  *os.File
	at int64
}

// Write implements io.Writer.
func (o *offset) Write(p []byte) (int, error) { return o.f.WriteAt(p, o.at) }

func (x *bench) image(b *testing.B, base bake.Digest) bake.Image {
	b.Helper()
	f, err := os.Open(x.file)
	ok(b, err)
	defer func() { ok(b, f.Close()) }()
	d, err := x.store.Import(b.Context(), f, base, nil)
	ok(b, err)
	x.n++
	ref := bake.Ref{Name: fmt.Sprintf("bench-%d", time.Now().UnixNano()), Version: version(x.n)}
	return bake.Image{Ref: ref, Arch: bake.AMD64, Disk: d, Commit: "none", Created: time.Now()}
}

// publish returns how long the upload alone took.
func (x *bench) publish(b *testing.B, img bake.Image) time.Duration {
	b.Helper()
	var first, last time.Time
	p := ec2.New(ec2.Config{
		Targets: target.NewSet([]target.Spec{{Name: "local", Endpoint: x.endpoint, Region: "eu-west-1", AccessKey: home}}, target.Options{Observe: func(c target.Call) {
			if c.Operation == "StartSnapshot" {
				first = time.Now()
			}
			if c.Operation == "CompleteSnapshot" {
				last = time.Now()
			}
		}}),
		Store: x.store, Catalog: x.catalog,
	})
	_, err := p.Publish(b.Context(), img, template(bake.BIOS), []string{"local"})
	ok(b, err)
	return last.Sub(first)
}

// BenchmarkFull sends a whole disk: MB/s is that of the upload, as coldsnap counts it; the time is that until the AMI is available.
func BenchmarkFull(b *testing.B) {
	x := newBench(b)
	var upload, cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		x.fill(b)
		img := x.image(b, "")
		settle()
		b.StartTimer()
		used := cpuTime(b)
		upload += x.publish(b, img)
		cpu += cpuTime(b) - used
	}
	b.ReportMetric(benchMiB<<20/1e6*float64(b.N)/upload.Seconds(), "MB/s-upload")
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op") // of this process: with a cloud of its own that of the cloud, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/1e6, "MB-of-system")
}

// BenchmarkDelta sends 40 blocks that differ from the image before; it must not take longer than 2 s.
func BenchmarkDelta(b *testing.B) {
	x := newBench(b)
	x.fill(b)
	img := x.image(b, "")
	x.publish(b, img)
	for b.Loop() {
		b.StopTimer()
		x.change(b, 40)
		img = x.image(b, img.Disk)
		settle()
		b.StartTimer()
		x.publish(b, img)
	}
}

// BenchmarkColdsnap sends a whole disk by the program that COLDSNAP names.
func BenchmarkColdsnap(b *testing.B) {
	program := os.Getenv("COLDSNAP")
	if program == "" {
		b.Skip("COLDSNAP is not set: see scripts/bench.d/upload")
	}
	x := newBench(b)
	var took, cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		x.fill(b)
		settle()
		b.StartTimer()
		began := time.Now()
		cmd := exec.CommandContext(b.Context(), program, "--endpoint", x.endpoint, "upload", "--no-progress", x.file)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+x.endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID="+home, "AWS_SECRET_ACCESS_KEY=x")
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		took += time.Since(began)
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	b.ReportMetric(benchMiB<<20/1e6*float64(b.N)/took.Seconds(), "MB/s-upload")
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op")
}

// settle ends what was begun to make the disk, so that it is not measured.
func settle() {
	runtime.GC()
	unix.Sync()
}

// cpuTime returns what this process has had of all processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	ok(b, unix.Getrusage(unix.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
