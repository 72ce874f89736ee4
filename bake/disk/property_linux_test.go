package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// model is a disk in a file, what should be in it, and what was imported of it.
type model struct {
	tb    testing.TB
	s     *disk.Store
	file  *os.File
	want  []byte
	disks []version
}

type version struct {
	digest  bake.Digest
	content []byte
}

// Any sequence of writes, zeros, holes, trims, resizes and imports materialises byte for byte.
func TestAnySequenceMaterialises(t *testing.T) {
	s := openStore(t, t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		f, err := os.CreateTemp(t.TempDir(), "*.raw")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
		m := &model{tb: t, s: s, file: f}
		m.resize(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"write":  m.write,
			"zero":   m.zero,
			"trim":   m.trim,
			"resize": m.resize,
			"import": m.importDisk,
		})
	})
}

// stretch draws a part of the disk; often it begins or ends with a block.
func (m *model) stretch(t *rapid.T) (offset, n int64) {
	size := int64(len(m.want))
	edge := func(label string) int64 {
		at := rapid.Int64Range(0, size).Draw(t, label)
		if rapid.Bool().Draw(t, label+" on a block") {
			at = at / disk.BlockSize * disk.BlockSize
		}
		return at
	}
	a, b := edge("a"), edge("b")
	return min(a, b), max(a, b) - min(a, b)
}

func (m *model) write(t *rapid.T) {
	offset, n := m.stretch(t)
	seed := rapid.Byte().Draw(t, "seed")
	data := bytes.Repeat([]byte{seed}, int(n))
	if rapid.IntRange(0, 3).Draw(t, "kind") == 0 { // rarely, for what cannot be compressed is slow to sync
		data = noise(seed, int(n))
	}
	m.put(t, offset, data)
}

func (m *model) zero(t *rapid.T) {
	offset, n := m.stretch(t)
	m.put(t, offset, make([]byte, n))
}

func (m *model) put(t *rapid.T, offset int64, data []byte) {
	copy(m.want[offset:], data)
	if _, err := m.file.WriteAt(data, offset); err != nil {
		t.Fatal(err)
	}
}

func (m *model) trim(t *rapid.T) {
	offset, n := m.stretch(t)
	if n == 0 {
		return
	}
	clear(m.want[offset : offset+n])
	if err := unix.Fallocate(int(m.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, n); err != nil {
		t.Fatal(err)
	}
}

func (m *model) resize(t *rapid.T) {
	size := rapid.Int64Range(0, 5*disk.BlockSize/2/512).Draw(t, "sectors") * 512
	if err := m.file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	grown := make([]byte, size)
	copy(grown, m.want)
	m.want = grown
}

func (m *model) importDisk(t *rapid.T) {
	base := rapid.SampledFrom(append(m.disks, version{})).Draw(t, "base")
	d, err := m.s.Import(t.Context(), m.file, base.digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.disks = append(m.disks, version{d, bytes.Clone(m.want)})
	out, err := os.CreateTemp(m.tb.TempDir(), "*.raw")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = out.Close(), os.Remove(out.Name()) }()
	if err := m.s.Materialise(t.Context(), d, out, nil); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(out)
	if err != nil || !bytes.Equal(got, m.want) {
		t.Fatalf("the disk of %d bytes came back as %d bytes: %v", len(m.want), len(got), err)
	}
	if err := m.checkManifest(t, d, base); err != nil {
		t.Fatal(err)
	}
}

// checkManifest checks which blocks are present, and that the changed ones on top of the base give the disk.
func (m *model) checkManifest(t *rapid.T, d bake.Digest, base version) error {
	manifest, err := m.s.Manifest(t.Context(), d)
	if err != nil {
		return err
	}
	var from disk.Manifest
	if base.digest != "" {
		if from, err = m.s.Manifest(t.Context(), base.digest); err != nil {
			return err
		}
	}
	inBase, present := present(from), present(manifest)
	for i := int64(0); i*disk.BlockSize < int64(len(m.want)); i++ {
		data := m.want[i*disk.BlockSize : min(int64(len(m.want)), (i+1)*disk.BlockSize)]
		want := inBase[i] != "" || bytes.ContainsFunc(data, func(r rune) bool { return r != 0 })
		if got := present[i] != ""; got != want {
			return fmt.Errorf("block %d is present: %v, want %v", i, got, want)
		}
	}
	patched := make([]byte, (len(m.want)+disk.BlockSize)/disk.BlockSize*disk.BlockSize)
	copy(patched, base.content)
	for _, i := range disk.Diff(from, manifest) {
		if present[i] == "" {
			continue // cut off
		}
		if err := m.s.Block(t.Context(), present[i], patched[i*disk.BlockSize:]); err != nil {
			return err
		}
	}
	if !bytes.Equal(patched[:len(m.want)], m.want) {
		return errors.New("the changed blocks on top of the base do not give the disk")
	}
	return nil
}

func present(m disk.Manifest) map[int64]bake.Digest {
	by := map[int64]bake.Digest{}
	for _, b := range m.Blocks {
		by[b.Index] = b.Digest
	}
	return by
}
