package disk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// Whoever writes a disk on top of its base relies on this: what became zero has to be written, what never was there has not.
func TestAbsentIsNotZero(t *testing.T) {
	const n = disk.BlockSize
	s := openStore(t, t.TempDir())
	f := newFile(t, 6*n)
	writeAt(t, f, 0, noise(1, 3*n))     // blocks 0, 1 and 2
	writeAt(t, f, 4*n, make([]byte, n)) // zeros, written
	base := mustImport(t, s, f, "")
	if got := indexes(mustManifest(t, s, base)); got != "0 1 2" {
		t.Errorf("without a base the blocks are %s, want those with data", got)
	}

	g := newFile(t, 6*n)
	writeAt(t, g, 0, noise(1, n))       // as before
	writeAt(t, g, n, make([]byte, n))   // zeros where data was; block 2 is a hole where data was
	writeAt(t, g, 5*n, noise(2, n))     // data where nothing was
	writeAt(t, g, 4*n, make([]byte, n)) // zeros where nothing was
	d := mustImport(t, s, g, base)
	m := mustManifest(t, s, d)
	if got := indexes(m); got != "0 1 2 5" {
		t.Errorf("with a base the blocks are %s", got)
	}
	zero := bake.DigestOf(make([]byte, n))
	if m.Blocks[1].Digest != zero || m.Blocks[2].Digest != zero {
		t.Errorf("blocks that became zero: %v", m.Blocks)
	}
	if !bytes.Equal(materialised(t, s, d), content(t, g)) {
		t.Error("the disk differs")
	}
	// A block of zeros stays one when the disk is materialised, which makes it a hole, and imported again.
	if again := mustImport(t, s, g, d); again != d {
		t.Errorf("unchanged disk: %v", mustManifest(t, s, again))
	}
	wantClean(t, s, base, d)
}

func indexes(m disk.Manifest) string {
	var all []string
	for _, b := range m.Blocks {
		all = append(all, string(rune('0'+b.Index)))
	}
	return strings.Join(all, " ")
}

func TestSameContentIsStoredOnce(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	f := noiseFile(t, 1, 3)
	writeAt(t, f, 3*disk.BlockSize, noise(1, 3*disk.BlockSize)) // the same blocks again
	d := mustImport(t, s, f, "")
	wantFiles(t, dir, "blocks", 3)
	if again := mustImport(t, s, f, ""); again != d {
		t.Errorf("%s became %s", d, again)
	}
	wantFiles(t, dir, "blocks", 3)
	wantFiles(t, dir, "manifests", 1)
	wantFiles(t, dir, "tmp", 0)
}

func TestDisksOfAllSizes(t *testing.T) {
	s := openStore(t, t.TempDir())
	var base bake.Digest
	for _, size := range []int64{0, 512, disk.BlockSize - 512, disk.BlockSize, disk.BlockSize + 512, 3 * disk.BlockSize, 512} {
		f := newFile(t, 0)
		writeAt(t, f, 0, noise(3, int(size)))
		for _, from := range []bake.Digest{"", base} { // also growing and shrinking
			d := mustImport(t, s, f, from)
			if m := mustManifest(t, s, d); m.Size != size {
				t.Errorf("size %d, want %d", m.Size, size)
			}
			if !bytes.Equal(materialised(t, s, d), content(t, f)) {
				t.Errorf("a disk of %d bytes differs", size)
			}
			base = d
		}
	}
}

func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	odd := newFile(t, 1000)
	if _, err := s.Import(t.Context(), odd, "", nil); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), odd.Name()) {
		t.Errorf("odd size: %v", err)
	}
	folder, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	if _, err := s.Import(t.Context(), folder, "", nil); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("folder: %v", err)
	}
	if _, err := s.Import(t.Context(), newFile(t, 512), bake.DigestOf(nil), nil); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("unknown base: %v", err)
	}
	if _, err := s.Import(t.Context(), newFile(t, 512), "../lock", nil); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("base that is no digest: %v", err)
	}
	wantFiles(t, dir, "manifests", 0)
}

func TestMaterialiseRefuses(t *testing.T) {
	s := openStore(t, t.TempDir())
	d := mustImport(t, s, noiseFile(t, 1, 1), "")
	full := noiseFile(t, 2, 1)
	if err := s.Materialise(t.Context(), d, full, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("file that is not empty: %v", err)
	}
	if !bytes.Equal(content(t, full), noise(2, disk.BlockSize)) {
		t.Error("the refused file was changed")
	}
	if err := s.Materialise(t.Context(), bake.DigestOf(nil), newFile(t, 0), nil); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("unknown disk: %v", err)
	}
}

func TestProgress(t *testing.T) {
	s := openStore(t, t.TempDir())
	f := newFile(t, 64*disk.BlockSize)
	writeAt(t, f, 0, noise(1, 9*disk.BlockSize))
	var last, calls int64
	progress := func(done, total int64) { // the race detector sees to it that it is called by one at a time
		calls++
		if done <= last || total != 9*disk.BlockSize {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	}
	d, err := s.Import(t.Context(), f, "", progress)
	if err != nil || last != 9*disk.BlockSize || calls != 9 {
		t.Errorf("import: %v, %d calls, %d bytes", err, calls, last)
	}
	last = 0
	if err := s.Materialise(t.Context(), d, newFile(t, 0), progress); err != nil || last != 9*disk.BlockSize {
		t.Errorf("materialise: %v, %d bytes", err, last)
	}
	last = 0
	if _, err := s.Verify(t.Context(), nil, progress); err != nil || last != 9*disk.BlockSize {
		t.Errorf("verify: %v, %d bytes", err, last)
	}
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	f := noiseFile(t, 1, 40)
	for after := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		stop := func(done, _ int64) {
			if done > int64(after)*9*disk.BlockSize {
				cancel()
			}
		}
		if _, err := s.Import(ctx, f, "", stop); !errors.Is(err, context.Canceled) {
			t.Errorf("import: %v", err)
		}
		wantFiles(t, dir, "manifests", 0)
		wantFiles(t, dir, "tmp", 0)
	}
	d := mustImport(t, s, f, "")
	ctx, cancel := context.WithCancel(t.Context())
	out := newFile(t, 0)
	err := s.Materialise(ctx, d, out, func(_, _ int64) { cancel() })
	if !errors.Is(err, context.Canceled) || len(content(t, out)) != 0 {
		t.Errorf("materialise: %v, %d bytes are left", err, len(content(t, out)))
	}
	if _, err := s.Verify(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("verify: %v", err)
	}
	wantClean(t, s, d)
}

func TestSparse(t *testing.T) {
	s := openStore(t, t.TempDir())
	f := newFile(t, 64<<20)
	for i := range int64(8) {
		writeAt(t, f, i*8<<20+40960, noise(byte(i), 4096))
	}
	out := newFile(t, 0)
	if err := s.Materialise(t.Context(), mustImport(t, s, f, ""), out, nil); err != nil {
		t.Fatal(err)
	}
	if err := out.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := allocated(t, out); got > 256<<10 {
		t.Errorf("8 pages of data take %d bytes", got)
	}
}

func TestBlock(t *testing.T) {
	s := openStore(t, t.TempDir())
	m := mustManifest(t, s, mustImport(t, s, noiseFile(t, 1, 1), ""))
	buf := make([]byte, disk.BlockSize+1)
	if err := s.Block(t.Context(), m.Blocks[0].Digest, buf); err != nil || !bytes.Equal(buf[:disk.BlockSize], noise(1, disk.BlockSize)) {
		t.Errorf("wrong block, %v", err)
	}
	if err := s.Block(t.Context(), m.Blocks[0].Digest, buf[:100]); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("short buffer: %v", err)
	}
	if err := s.Block(t.Context(), bake.DigestOf(nil), buf); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("unknown block: %v", err)
	}
	if err := s.Block(t.Context(), "", buf); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("no digest: %v", err)
	}
}

func TestReader(t *testing.T) {
	s := openStore(t, t.TempDir())
	f := newFile(t, 5*disk.BlockSize+1024)
	writeAt(t, f, disk.BlockSize-5000, noise(1, 10000))
	writeAt(t, f, 5*disk.BlockSize, noise(2, 1024))
	r, err := s.Reader(t.Context(), mustImport(t, s, f, ""))
	if err != nil {
		t.Fatal(err)
	}
	want := content(t, f)
	if r.Size() != int64(len(want)) {
		t.Errorf("size %d", r.Size())
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the whole differs: %d bytes, %v", len(got), err)
	}
	var readers sync.WaitGroup
	for i := range int64(8) {
		readers.Go(func() {
			part := make([]byte, 700_000)
			offset := i * 300_000
			n, err := r.ReadAt(part, offset)
			if err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(part[:n], want[offset:offset+int64(n)]) {
				t.Errorf("the part at %d differs: %v", offset, err)
			}
		})
	}
	readers.Wait()
	if _, err := s.Reader(t.Context(), bake.DigestOf(nil)); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("unknown disk: %v", err)
	}
}

func TestLayers(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	key, other := bake.DigestOf([]byte("key")), bake.DigestOf([]byte("other"))
	if _, err := s.Layer(t.Context(), key); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("no layer: %v", err)
	}
	a, b := mustImport(t, s, noiseFile(t, 1, 1), ""), mustImport(t, s, noiseFile(t, 2, 1), "")
	for _, d := range []bake.Digest{a, b, a} { // a layer can be replaced
		if err := s.SetLayer(t.Context(), key, d); err != nil {
			t.Fatal(err)
		}
		if got, err := openStore(t, dir).Layer(t.Context(), key); err != nil || got != d {
			t.Errorf("got %s, %v, want %s", got, err, d)
		}
	}
	if err := s.SetLayer(t.Context(), other, bake.DigestOf(nil)); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("layer of an unknown disk: %v", err)
	}
	if err := s.SetLayer(t.Context(), "../lock", a); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("key that is no digest: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "layers", other.Hex()), []byte("sha256:12"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Layer(t.Context(), other); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("damaged layer: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "manifests", a.Hex())); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Layer(t.Context(), key); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("layer of a disk that is gone: %v", err)
	}
}

func TestOpenWhereNoFolderCanBe(t *testing.T) {
	file := newFile(t, 0).Name()
	if _, err := disk.Open(filepath.Join(file, "store")); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

// A wait for somebody else's lock ends with the context, and says what it waited for.
func TestWaitCanBeCancelled(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	holdLock(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Import(ctx, newFile(t, 512), "", nil); err == nil || !strings.Contains(err.Error(), "lock of the block store in "+dir+": context canceled") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Collect(ctx, nil, 0, true); err == nil {
		t.Error("a collection did not wait")
	}
}
