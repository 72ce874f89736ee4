package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

func mustDraft(tb testing.TB, s *disk.Store, name string) *disk.Draft {
	tb.Helper()
	d, err := s.Draft(name)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func mustPut(tb testing.TB, d *disk.Draft, index int64, block []byte) {
	tb.Helper()
	if err := d.Put(index, bake.DigestOf(block), block); err != nil {
		tb.Fatal(err)
	}
}

func mustSeal(tb testing.TB, d *disk.Draft, blocks int64, base bake.Digest) bake.Digest {
	tb.Helper()
	m, err := d.Seal(context.Background(), blocks*disk.BlockSize, base)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// Blocks come in any order and more than once; the last one counts. A block of zeros is a block.
func TestDraftBecomesADisk(t *testing.T) {
	const n = disk.BlockSize
	dir := t.TempDir()
	s := openStore(t, dir)
	base := mustImport(t, s, noiseFile(t, 1, 3), "")
	d := mustDraft(t, s, "snap-1")
	mustPut(t, d, 5, noise(5, n))
	mustPut(t, d, 1, noise(9, n))
	mustPut(t, d, 1, make([]byte, n))
	mustPut(t, d, 6, noise(5, n)) // the same again
	if again := mustDraft(t, s, "snap-1"); again != d {
		t.Error("the same draft is two in one process")
	}
	if got := indexes(disk.Manifest{Blocks: d.Blocks()}); got != "1 5 6" {
		t.Errorf("blocks %s", got)
	}
	m := mustSeal(t, d, 8, base)
	want := slices.Concat(noise(1, n), make([]byte, n), noise(1, 3*n)[2*n:], make([]byte, 2*n), noise(5, n), noise(5, n), make([]byte, n))
	if !bytes.Equal(materialised(t, s, m), want) {
		t.Error("the disk differs")
	}
	if got := indexes(mustManifest(t, s, m)); got != "0 1 2 5 6" {
		t.Errorf("the disk has the blocks %s", got)
	}
	wantFiles(t, dir, "blocks", 5) // 3 of the base, zeros and noise
	if err := d.Put(0, bake.DigestOf(want[:n]), want[:n]); !errors.Is(err, disk.ErrSealed) {
		t.Errorf("put into a sealed draft: %v", err)
	}
	if again := mustSeal(t, d, 8, base); again != m {
		t.Error("sealed twice, it is two disks")
	}
	if err := s.Discard("snap-1"); err != nil {
		t.Error(err)
	}
	wantFiles(t, dir, "drafts", 0)
	if _, err := d.Seal(context.Background(), 8*n, ""); !errors.Is(err, disk.ErrSealed) {
		t.Errorf("seal a discarded draft: %v", err)
	}
	wantClean(t, s, base, m)
}

// What was put is there after the process has ended, whatever it was doing: its log is read up to the last whole line.
func TestDraftOutlivesItsProcess(t *testing.T) {
	const n = disk.BlockSize
	dir := t.TempDir()
	s := openStore(t, dir)
	d := mustDraft(t, s, "a")
	mustPut(t, d, 0, noise(1, n))
	mustPut(t, d, 7, noise(2, n))
	log := filepath.Join(dir, "drafts", "a", "log")
	body, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(body) + 1 {
		if err := os.MkdirAll(filepath.Join(dir, "drafts", strconv.Itoa(cut)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(dir, "drafts", "a", "data"), filepath.Join(dir, "drafts", strconv.Itoa(cut), "data")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "drafts", strconv.Itoa(cut), "log"), body[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		again := mustDraft(t, s, strconv.Itoa(cut))
		if got, want := len(again.Blocks()), bytes.Count(body[:cut], []byte("\n")); got != want {
			t.Fatalf("after %d bytes of the log there are %d blocks, want %d", cut, got, want)
		}
	}
	again := mustDraft(t, s, strconv.Itoa(len(body)))
	mustPut(t, again, 1, noise(2, n))
	m := mustSeal(t, again, 8, "")
	if got := materialised(t, s, m); !bytes.Equal(got[:2*n], slices.Concat(noise(1, n), noise(2, n))) {
		t.Error("the disk differs")
	}
}

// Only a failure of the machine can lose what was put: a file then has zeros, or lacks its end. It is found out, nothing wrong becomes a
// disk, and what is put again counts.
func TestLostContentIsFoundOut(t *testing.T) {
	for _, left := range []int{disk.BlockSize, disk.BlockSize / 2, 0} {
		t.Run(strconv.Itoa(left), func(t *testing.T) {
			dir := t.TempDir()
			first := openStore(t, dir)
			mustPut(t, mustDraft(t, first, "a"), 3, noise(1, disk.BlockSize))
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "drafts", "a", "data"), make([]byte, left), 0o600); err != nil {
				t.Fatal(err)
			}
			second := openStore(t, dir)
			if _, err := mustDraft(t, second, "a").Seal(context.Background(), 4*disk.BlockSize, ""); !errors.Is(err, disk.ErrCorrupt) {
				t.Errorf("error = %v", err)
			}
			wantFiles(t, dir, "manifests", 0)
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			s := openStore(t, dir)
			d := mustDraft(t, s, "a")
			mustPut(t, d, 3, noise(1, disk.BlockSize))
			if got := materialised(t, s, mustSeal(t, d, 4, "")); !bytes.Equal(got[3*disk.BlockSize:], noise(1, disk.BlockSize)) {
				t.Error("the disk differs")
			}
		})
	}
}

func TestDraftsThatMakeNoDisk(t *testing.T) {
	const n = disk.BlockSize
	s := openStore(t, t.TempDir())
	d := mustDraft(t, s, "a")
	if err := d.Put(0, bake.DigestOf(nil), nil); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("an empty block: %v", err)
	}
	if err := d.Put(-1, bake.DigestOf(noise(1, n)), noise(1, n)); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("a block before the start: %v", err)
	}
	mustPut(t, d, 9, noise(1, n))
	if _, err := d.Seal(context.Background(), 9*n, ""); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("a block behind the end: %v", err)
	}
	if _, err := d.Seal(context.Background(), 10*n, bake.DigestOf([]byte("no"))); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("no base: %v", err)
	}
	for _, name := range []string{"", ".", "..", "a/b", ".hidden", "a\x00"} {
		if _, err := s.Draft(name); !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("draft %q: %v", name, err)
		}
		if err := s.Discard(name); !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("discard %q: %v", name, err)
		}
	}
	if err := s.Discard("never-was"); err != nil {
		t.Error(err)
	}
}

// A collection leaves drafts alone, even while they are being written, and takes those that everybody has forgotten.
func TestCollectLeavesDrafts(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	d := mustDraft(t, s, "open")
	mustPut(t, d, 0, noise(1, disk.BlockSize))
	mustPut(t, mustDraft(t, s, "old"), 0, noise(1, disk.BlockSize))
	other := openStore(t, dir)
	old := time.Now().Add(-8 * 24 * time.Hour)
	for _, name := range []string{"new", "empty"} { // their processes were killed before they had a log
		if err := os.Mkdir(filepath.Join(dir, "drafts", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"open/log", "old/log", "empty"} {
		if err := os.Chtimes(filepath.Join(dir, "drafts", name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Collect(context.Background(), nil, 0, false); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "drafts", 3) // two are open here
	mustPut(t, d, 1, noise(2, disk.BlockSize))
	if _, err := other.Collect(context.Background(), nil, 0, false); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir, "drafts"); !slices.Equal(got, []string{"new", "open"}) {
		t.Errorf("drafts %v", got)
	}
	m := mustSeal(t, d, 2, "")
	if !bytes.Equal(materialised(t, s, m), slices.Concat(noise(1, disk.BlockSize), noise(2, disk.BlockSize))) {
		t.Error("the disk differs")
	}
}

func TestKeptDisksAreNotCollected(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := openStore(t, dir)
	one, two := mustImport(t, s, noiseFile(t, 1, 2), ""), mustImport(t, s, noiseFile(t, 2, 2), "")
	if err := s.Keep(ctx, "x", two); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(ctx, "x", one); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(ctx, "y", bake.DigestOf([]byte("no"))); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("keep what is not there: %v", err)
	}
	if err := s.Keep(ctx, "../y", one); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("keep outside: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	collect := func() {
		if _, err := openStore(t, dir).Collect(ctx, nil, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	collect()
	wantFiles(t, dir, "blocks", 2)
	wantClean(t, openStore(t, dir), one)
	for range 2 {
		if err := s.Release("x"); err != nil {
			t.Error(err)
		}
	}
	if err := s.Release("/"); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("release outside: %v", err)
	}
	collect()
	wantFiles(t, dir, "blocks", 0)
	if err := os.WriteFile(filepath.Join(dir, "kept", "z"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(ctx, nil, 0, false); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("collect past something unreadable: %v", err)
	}
}

// Many put at once, also the same content, and one reads what is there.
func TestDraftTakesBlocksFromMany(t *testing.T) {
	s := openStore(t, t.TempDir())
	d := mustDraft(t, s, "a")
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			for i := range 16 {
				block := noise(byte(i%4), disk.BlockSize)
				if err := d.Put(int64(w*16+i), bake.DigestOf(block), block); err != nil {
					t.Error(err)
				}
				_ = d.Blocks()
			}
		})
	}
	wait.Wait()
	m := mustSeal(t, d, 128, "")
	whole := materialised(t, s, m)
	for i := range 128 {
		if block := whole[i*disk.BlockSize:][:disk.BlockSize]; !bytes.Equal(block, noise(byte(i%4), disk.BlockSize)) {
			t.Fatalf("block %d differs", i)
		}
	}
}

// Whatever is put, in whatever order, with the process ending in between: the disk is what was last put, on top of its base.
func TestDraftProperty(t *testing.T) {
	pool := make([][]byte, 5)
	for i := range pool[1:] {
		pool[i+1] = noise(byte(i), disk.BlockSize)
	}
	pool[0] = make([]byte, disk.BlockSize)
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		name := fmt.Sprint("run", runs)
		s := openStore(t, dir)
		want := map[int64]int{}
		var base bake.Digest
		for range rapid.IntRange(1, 3).Draw(rt, "generations") {
			for range rapid.IntRange(0, 12).Draw(rt, "puts") {
				index, content := rapid.Int64Range(0, 9).Draw(rt, "index"), rapid.IntRange(0, len(pool)-1).Draw(rt, "content")
				mustPut(t, mustDraft(t, s, name), index, pool[content])
				want[index] = content
				if rapid.IntRange(0, 4).Draw(rt, "end") == 0 {
					_ = s.Close()
					s = openStore(t, dir)
				}
			}
			base = mustSeal(t, mustDraft(t, s, name), 10, base)
			if err := s.Discard(name); err != nil {
				rt.Fatal(err)
			}
		}
		m := mustManifest(t, s, base)
		if len(m.Blocks) != len(want) {
			rt.Fatalf("%d blocks, want %d", len(m.Blocks), len(want))
		}
		for _, b := range m.Blocks {
			if content, ok := want[b.Index]; !ok || b.Digest != bake.DigestOf(pool[content]) {
				rt.Fatalf("block %d is %s", b.Index, b.Digest.Short())
			}
		}
	})
}

func FuzzDraftLog(f *testing.F) {
	f.Add([]byte("1 0 " + bake.DigestOf(nil).Hex() + "\n2 -1 " + bake.DigestOf(nil).Hex() + "\n"))
	f.Add([]byte("1 0\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "drafts", "a"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "drafts", "a", "log"), log, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, dir)
		d, err := s.Draft("a")
		if err != nil {
			return
		}
		_, _ = d.Seal(context.Background(), 1<<30, "") // no panic, and nothing that is not what its digest says
		wantClean(t, s)
	})
}

func BenchmarkDraftPut(b *testing.B) {
	s := openStore(b, b.TempDir())
	d := mustDraft(b, s, "a")
	blocks := make([][]byte, 64)
	for i := range blocks {
		blocks[i] = noise(byte(i), disk.BlockSize)
	}
	b.SetBytes(disk.BlockSize)
	for i := 0; b.Loop(); i++ {
		block := blocks[i%len(blocks)]
		block[0], block[1], block[2] = byte(i), byte(i>>8), byte(i>>16)
		if err := d.Put(int64(i%4096), bake.DigestOf(block), block); err != nil {
			b.Fatal(err)
		}
	}
}
