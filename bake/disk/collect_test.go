package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// imported returns the digest of a disk of noise in the store in dir, whose importer is gone.
func imported(t *testing.T, dir string, seed byte, blocks int) bake.Digest {
	t.Helper()
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := mustImport(t, s, noiseFile(t, seed, blocks), "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// age makes a file of a store look as if it was last used so long ago.
func age(t *testing.T, dir, sub string, d bake.Digest, ago time.Duration) {
	t.Helper()
	then := time.Now().Add(-ago)
	if err := os.Chtimes(filepath.Join(dir, sub, d.Hex()), then, then); err != nil {
		t.Fatal(err)
	}
}

// Nobody can have put on a list of what is live, before a collection began, what was imported while it waited for its turn.
func TestCollectKeepsWhatComesWhileItWaits(t *testing.T) {
	dir := t.TempDir()
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock := shareLock(t, dir)
	collecting := make(chan error)
	var once sync.Once
	d, err := s.Import(t.Context(), noiseFile(t, 1, 2), "", func(int64, int64) {
		once.Do(func() { // the import has the lock now
			go func() {
				_, err := openStore(t, dir).Collect(t.Context(), nil, 0, false)
				collecting <- err
			}()
			waitForGate(t, dir)
		})
	})
	if err := errors.Join(err, s.Close()); err != nil { // with the record of its image in the catalog
		t.Fatal(err)
	}
	unlock()
	if err := <-collecting; err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "blocks", 2)
	wantClean(t, openStore(t, dir), d)
}

// waitForGate waits until somebody waits for the lock of a store.
func waitForGate(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "gate"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCollect(t *testing.T) {
	dir := t.TempDir()
	live, dead := imported(t, dir, 1, 3), imported(t, dir, 2, 2)
	s := openStore(t, dir)
	want := disk.Collected{Manifests: 1, Blocks: 2}
	var results [2]disk.Collected
	for i, dryRun := range []bool{true, false} {
		got, err := s.Collect(t.Context(), []bake.Digest{live, bake.DigestOf(nil)}, 0, dryRun)
		if err != nil {
			t.Fatal(err)
		}
		results[i] = got
		if got.Bytes < 2*disk.BlockSize || got.Kept != 3*disk.BlockSize {
			t.Errorf("%d bytes removed and %d kept", got.Bytes, got.Kept)
		}
		got.Bytes, got.Kept = 0, 0
		if got != want {
			t.Errorf("dry run %v: got %+v, want %+v", dryRun, got, want)
		}
		if left := len(files(t, dir, "blocks")); left != map[bool]int{true: 5, false: 3}[dryRun] {
			t.Errorf("dry run %v: %d blocks are left", dryRun, left)
		}
	}
	if results[0] != results[1] {
		t.Errorf("the dry run said %+v, it was %+v", results[0], results[1])
	}
	if _, err := s.Manifest(t.Context(), dead); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("the dead disk: %v", err)
	}
	wantClean(t, s, live)
	if got, err := s.Collect(t.Context(), nil, 0, false); err != nil || got.Blocks != 3 {
		t.Errorf("nothing is live: %+v, %v", got, err)
	}
	wantFiles(t, dir, "blocks", 0)
	wantFiles(t, dir, "manifests", 0)
}

func TestCollectKeepsWhatWasUsed(t *testing.T) {
	dir := t.TempDir()
	young, old := imported(t, dir, 1, 1), imported(t, dir, 2, 1)
	layered, forgotten := imported(t, dir, 3, 1), imported(t, dir, 4, 1)
	again := imported(t, dir, 5, 1)
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []bake.Digest{layered, forgotten} { // the key does not matter
		if err := s.SetLayer(t.Context(), d, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []bake.Digest{old, layered, forgotten, again} {
		age(t, dir, "manifests", d, 2*time.Hour)
	}
	age(t, dir, "layers", layered, 2*time.Hour)
	age(t, dir, "layers", forgotten, 2*time.Hour)
	if _, err := s.Layer(t.Context(), layered); err != nil { // a use
		t.Fatal(err)
	}
	mustImport(t, s, noiseFile(t, 5, 1), "") // so is this
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := s.Collect(t.Context(), nil, time.Hour, false)
	if err != nil || got.Layers != 1 || got.Manifests != 2 || got.Blocks != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	for d, want := range map[bake.Digest]error{young: nil, layered: nil, again: nil, old: disk.ErrNotFound, forgotten: disk.ErrNotFound} {
		if _, err := s.Manifest(t.Context(), d); !errors.Is(err, want) {
			t.Errorf("disk %s: got %v, want %v", d.Short(), err, want)
		}
	}
	wantClean(t, s, young, layered, again)
}

// What a running process works with stays, whatever the collector was told.
func TestCollectKeepsWhatIsInUse(t *testing.T) {
	use := map[string]func(*disk.Store, bake.Digest) error{
		"import": func(s *disk.Store, _ bake.Digest) error {
			_, err := s.Import(t.Context(), noiseFile(t, 1, 1), "", nil)
			return err
		},
		"materialise": func(s *disk.Store, d bake.Digest) error { return s.Materialise(t.Context(), d, newFile(t, 0), nil) },
		"reader":      func(s *disk.Store, d bake.Digest) error { _, err := s.Reader(t.Context(), d); return err },
		"layer":       func(s *disk.Store, d bake.Digest) error { _, err := s.Layer(t.Context(), d); return err },
		"set layer":   func(s *disk.Store, d bake.Digest) error { return s.SetLayer(t.Context(), d, d) },
	}
	for name, use := range use {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := imported(t, dir, 1, 1)
			other := openStore(t, dir)
			if err := other.SetLayer(t.Context(), d, d); err != nil {
				t.Fatal(err)
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
			s := openStore(t, dir)
			if err := use(s, d); err != nil {
				t.Fatal(err)
			}
			if got, err := other.Collect(t.Context(), nil, -time.Hour, false); err != nil || got.Manifests+got.Blocks != 0 {
				t.Errorf("in use: %+v, %v", got, err)
			}
			wantClean(t, s, d)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got, err := other.Collect(t.Context(), nil, -time.Hour, false); err != nil || got.Manifests != 1 || got.Blocks != 1 {
				t.Errorf("no longer in use: %+v, %v", got, err)
			}
			wantFiles(t, dir, "sessions", 0)
		})
	}
}

func TestCollectSweepsLeftovers(t *testing.T) {
	for name, collect := range map[string]func(*disk.Store) error{
		"collect": func(s *disk.Store) error { _, err := s.Collect(t.Context(), nil, 0, false); return err },
		"import":  func(s *disk.Store) error { _, err := s.Import(t.Context(), newFile(t, 512), "", nil); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			for _, left := range []string{"tmp/123-456", "sessions/789", "blocks/not-ours"} {
				if err := os.WriteFile(filepath.Join(dir, left), []byte("half"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := collect(s); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			wantFiles(t, dir, "tmp", 0)
			wantFiles(t, dir, "sessions", 0)
			wantFiles(t, dir, "blocks", 1)
		})
	}
}

// Importers and a collector at once: what an importer was given back is there for as long as it has the store open.
func TestCollectWhileImporting(t *testing.T) {
	dir := t.TempDir()
	var importers, collectors sync.WaitGroup
	done := make(chan struct{})
	collectors.Go(func() {
		s := openStore(t, dir)
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := s.Collect(t.Context(), nil, 0, false); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 3 {
		importers.Go(func() {
			for round := range 5 {
				if err := importAndCompare(dir, byte(1+(i+round)%3)); err != nil { // often the same blocks at once
					t.Error(err)
				}
			}
		})
	}
	importers.Wait()
	close(done)
	collectors.Wait()
	s := openStore(t, dir)
	wantClean(t, s)
	wantEmptied(t, s, dir)
}

// importAndCompare imports a disk by a handle of its own, changes it, imports it again, and reads both back.
func importAndCompare(dir string, seed byte) (err error) {
	s, err := disk.Open(dir)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "iibake-disk-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(), os.RemoveAll(folder)) }()
	file, want := filepath.Join(folder, "disk.raw"), noise(seed, 4*disk.BlockSize)
	base := bake.Digest("")
	for round := range 2 {
		copy(want[disk.BlockSize+round:], "changed")
		if err := os.WriteFile(file, want, 0o600); err != nil {
			return err
		}
		if base, err = importFile(s, file, base); err != nil {
			return err
		}
		got, err := readDisk(s, base)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("disk %d of round %d differs", seed, round)
		}
	}
	return nil
}

func importFile(s *disk.Store, name string, base bake.Digest) (bake.Digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return s.Import(context.Background(), f, base, nil)
}

func readDisk(s *disk.Store, d bake.Digest) ([]byte, error) {
	r, err := s.Reader(context.Background(), d)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Twenty versions of an image with small changes take as much as one of them and the changes.
func TestTwentyVersions(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	f := noiseFile(t, 1, 24)
	base := mustImport(t, s, f, "")
	one := storeSize(t, dir)
	changes := int64(0)
	for version := range int64(20) {
		for i := range int64(2) {
			writeAt(t, f, (version*7+i*11)%24*disk.BlockSize+version, []byte("changed"))
		}
		d := mustImport(t, s, f, base)
		changes += int64(len(disk.Diff(mustManifest(t, s, base), mustManifest(t, s, d)))) * disk.BlockSize
		base = d
	}
	if changes != 20*2*disk.BlockSize {
		t.Errorf("changes of %d bytes", changes)
	}
	if got := storeSize(t, dir); got > one+one/2+changes {
		t.Errorf("20 versions take %d bytes, one %d, the changes %d", got, one, changes)
	}
}

func storeSize(t *testing.T, dir string) int64 {
	t.Helper()
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
