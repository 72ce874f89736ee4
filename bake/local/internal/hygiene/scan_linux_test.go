package hygiene_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake/local/internal/hygiene"
)

// medium is a file of some size that is one hole.
func medium(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

// empty makes a file one hole again.
func empty(t *rapid.T, f *os.File, size int64) {
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

const block = 512 << 10

// edges draws an offset, most of the time next to where one piece of the disk ends and the next begins.
func edges(size, length int64) *rapid.Generator[int64] {
	return rapid.Custom(func(t *rapid.T) int64 {
		at := rapid.Int64Range(0, size-length).Draw(t, "at")
		if rapid.Bool().Draw(t, "at an edge") {
			at = rapid.Int64Range(0, size/(64<<10)).Draw(t, "edge")*(64<<10) + rapid.Int64Range(-length-1, 1).Draw(t, "beside")
		}
		return min(max(at, 0), size-length)
	})
}

// TestScanFindsEverySecret wherever it lies, over the ends of blocks and of what is read at once, and says nothing of other places.
func TestScanFindsEverySecret(t *testing.T) {
	t.Parallel()
	const size = 5*block + 1000
	f := medium(t, size)
	secrets := []string{"first-secret", "a second secret that is much longer than the first one is"}
	rapid.Check(t, func(t *rapid.T) {
		empty(t, f, size)
		taken, want := [][2]int64{}, map[string]bool{}
		if rapid.Bool().Draw(t, "full") { // what is read at once ends in the middle of data
			if _, err := f.WriteAt(bytes.Repeat([]byte("x"), size), 0); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 6).Draw(t, "secrets") {
			text := rapid.SampledFrom(secrets).Draw(t, "secret")
			at := edges(size, int64(len(text))).Draw(t, "offset")
			span := [2]int64{at, at + int64(len(text))}
			if slices.ContainsFunc(taken, func(s [2]int64) bool { return s[0] < span[1] && span[0] < s[1] }) {
				continue
			}
			taken = append(taken, span)
			if _, err := f.WriteAt([]byte(text), at); err != nil {
				t.Fatal(err)
			}
			want[fmt.Sprintf("block %d", at/block)] = true
		}
		found, pages, err := hygiene.Scan(f, secrets, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range found {
			if !want[finding.Path] {
				t.Fatalf("%s: there is none, or it is said twice", finding)
			}
			delete(want, finding.Path)
		}
		if len(want) > 0 {
			t.Fatalf("not found in %v", want)
		}
		for _, span := range taken {
			if !slices.Contains(pages, span[0]/4096) {
				t.Fatalf("page %d is not among %v", span[0]/4096, pages)
			}
		}
		if !slices.IsSorted(pages) || len(slices.Compact(slices.Clone(pages))) != len(pages) {
			t.Fatalf("pages %v: want each once, ascending", pages)
		}
	})
}

// TestScanOfSomeBlocks: what lies in blocks that are not asked for was proven before; a secret belongs to the block in which it begins.
func TestScanOfSomeBlocks(t *testing.T) {
	t.Parallel()
	const text = "correct horse battery staple"
	f := medium(t, 8*block)
	for _, at := range []int64{0, block - 5, 3 * block, 5*block + 100, 7*block - int64(len(text))} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		blocks []int64
		want   string
	}{
		{nil, "[0 3 5 6]"},
		{[]int64{}, "[]"},
		{[]int64{1}, "[]"}, // it begins in block 0
		{[]int64{0}, "[0]"},
		{[]int64{3, 4, 6}, "[3 6]"},
		{[]int64{7, 8, 900}, "[]"}, // also behind the end
	} {
		found, _, err := hygiene.Scan(f, []string{text}, c.blocks)
		if err != nil {
			t.Fatal(err)
		}
		have := []int{}
		for _, finding := range found {
			var n int
			if _, err := fmt.Sscanf(finding.Path, "block %d", &n); err != nil {
				t.Fatal(err)
			}
			have = append(have, n)
		}
		if fmt.Sprint(have) != c.want {
			t.Errorf("blocks %v: found in %v, want %s", c.blocks, have, c.want)
		}
	}
	if _, pages, err := hygiene.Scan(f, nil, nil); err != nil || len(pages) != 0 {
		t.Errorf("without a secret: %v, %v", pages, err)
	}
}

// TestNonZero against a look at every byte: free space is dirty where one byte of it is, and what lies beside it does not count.
func TestNonZero(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	f := medium(t, size)
	rapid.Check(t, func(t *rapid.T) {
		empty(t, f, size)
		from := edges(size, 1).Draw(t, "from")
		to := rapid.Int64Range(from, size).Draw(t, "to")
		first, dirty := int64(-1), 0
		for _, at := range rapid.SliceOfN(edges(size, 1), 0, 5).Draw(t, "bytes") {
			if _, err := f.WriteAt([]byte{1}, at); err != nil {
				t.Fatal(err)
			}
			if at >= from && at < to {
				dirty++
				if first < 0 || at < first {
					first = at
				}
			}
		}
		n, at, err := hygiene.NonZero(f, from, to)
		if err != nil {
			t.Fatal(err)
		}
		if (n > 0) != (dirty > 0) || n > to-from {
			t.Fatalf("%d bytes from %d to %d are dirty, of which %d were written", n, from, to, dirty)
		}
		if dirty > 0 && (at < from || at > first || first-at >= 64<<10) {
			t.Fatalf("the first is at %d, and was written at %d", at, first)
		}
	})
}
