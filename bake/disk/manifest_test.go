package disk_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

const (
	hexA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// The encoding is what the digests of all disks everywhere are made of: it must never change.
func TestManifestEncoding(t *testing.T) {
	m := disk.Manifest{Size: 4 << 20, Blocks: []disk.Block{{0, "sha256:" + hexA}, {1, "sha256:" + hexB}, {7, "sha256:" + hexA}}}
	want := `{"version":1,"size":4194304,"runs":[{"at":0,"sha256":["` + hexA + `","` + hexB + `"]},{"at":7,"sha256":["` + hexA + `"]}]}`
	if got := string(m.Encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := m.Digest(); got != bake.DigestOf([]byte(want)) {
		t.Errorf("digest %s", got)
	}
	if got := m.Stored(); got != 3*disk.BlockSize {
		t.Errorf("stored %d", got)
	}
	if got := string(disk.Manifest{}.Encode()); got != `{"version":1,"size":0,"runs":[]}` {
		t.Errorf("empty: %s", got)
	}
}

func TestDecodeManifestRefuses(t *testing.T) {
	run := func(at, sums string) string { return `{"at":` + at + `,"sha256":[` + sums + `]}` }
	doc := func(size, runs string) string { return `{"version":1,"size":` + size + `,"runs":[` + runs + `]}` }
	a, b := `"`+hexA+`"`, `"`+hexB+`"`
	for name, tc := range map[string]struct{ body, want string }{
		"empty":            {``, "unexpected end"},
		"not json":         {`disk`, "invalid character"},
		"other version":    {`{"version":2,"size":0,"runs":[]}`, "version 2"},
		"no version":       {`{"size":0,"runs":[]}`, "version 0"},
		"unknown field":    {`{"version":1,"size":0,"runs":[],"x":1}`, "canonical"},
		"field twice":      {`{"version":1,"size":512,"size":0,"runs":[]}`, "canonical"},
		"other case":       {`{"version":1,"Size":0,"runs":[]}`, "canonical"},
		"other order":      {`{"size":0,"version":1,"runs":[]}`, "canonical"},
		"white space":      {doc("0", "") + "\n", "canonical"},
		"null runs":        {`{"version":1,"size":0,"runs":null}`, "canonical"},
		"empty run":        {doc("1024", run("0", "")), "canonical"},
		"split run":        {doc("1048576", run("0", a)+","+run("1", b)), "canonical"},
		"odd size":         {doc("1000", ""), "multiple of 512"},
		"negative size":    {doc("-512", ""), "multiple of 512"},
		"huge size":        {doc("9223372036854775808", ""), "cannot unmarshal"},
		"fraction":         {doc("512.0", ""), "cannot unmarshal"},
		"negative index":   {doc("1048576", run("-1", a)), "out of order"},
		"behind the end":   {doc("1048576", run("2", a)), "behind the end"},
		"in an empty disk": {doc("0", run("0", a)), "behind the end"},
		"index overflow":   {doc("1048576", run("9223372036854775807", a+","+b)), "behind the end"},
		"descending":       {doc("1048576", run("1", a)+","+run("0", b)), "out of order"},
		"twice":            {doc("1048576", run("0", a)+","+run("0", b)), "out of order"},
		"short digest":     {doc("512", run("0", `"abc"`)), "digest"},
		"upper case":       {doc("512", run("0", strings.ToUpper(a))), "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := disk.DecodeManifest([]byte(tc.body))
			if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an invalid manifest and %q", err, tc.want)
			}
		})
	}
}

// manifests generates valid manifests with few different digests, so that some blocks are equal.
func manifests() *rapid.Generator[disk.Manifest] {
	return rapid.Custom(func(t *rapid.T) disk.Manifest {
		m := disk.Manifest{Size: rapid.Int64Range(0, 40*disk.BlockSize/512).Draw(t, "sectors") * 512}
		last := (m.Size + disk.BlockSize - 1) / disk.BlockSize
		for i := range last {
			if fill := rapid.IntRange(0, 4).Draw(t, "fill"); fill > 0 {
				m.Blocks = append(m.Blocks, disk.Block{Index: i, Digest: bake.DigestOf([]byte{byte(fill)})})
			}
		}
		return m
	})
}

func TestManifestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := manifests().Draw(t, "manifest")
		got, err := disk.DecodeManifest(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got.Size != m.Size || !slices.Equal(got.Blocks, m.Blocks) {
			t.Fatalf("got %v, want %v", got, m)
		}
	})
}

func TestDiff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := manifests().Draw(t, "a"), manifests().Draw(t, "b")
		blocks := func(m disk.Manifest) map[int64]bake.Digest {
			by := map[int64]bake.Digest{}
			for _, block := range m.Blocks {
				by[block.Index] = block.Digest
			}
			return by
		}
		x, y := blocks(a), blocks(b)
		var want []int64
		for i := range int64(41) {
			if x[i] != y[i] {
				want = append(want, i)
			}
		}
		if got := disk.Diff(a, b); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		if !slices.Equal(disk.Diff(b, a), want) || disk.Diff(a, a) != nil {
			t.Fatal("a difference depends on the direction, or is one to itself")
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"size":0,"runs":[]}`))
	f.Add([]byte(`{"version":1,"size":1048576,"runs":[{"at":0,"sha256":["` + hexA + `"]}]}`))
	f.Add([]byte(`{"version":1,"size":512,"runs":[{"at":9223372036854775807,"sha256":["` + hexA + `","` + hexB + `"]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := disk.DecodeManifest(body)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), body) {
			t.Errorf("two encodings of one manifest: %q and %q", body, m.Encode())
		}
		for _, b := range m.Blocks {
			if b.Index < 0 || b.Index*disk.BlockSize >= m.Size {
				t.Errorf("block %d of a disk of %d bytes", b.Index, m.Size)
			}
		}
	})
}
