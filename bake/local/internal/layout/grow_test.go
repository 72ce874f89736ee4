package layout_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/layout"
)

// grow makes a disk larger and checks all that must hold of it then.
func grow(t *testing.T, f *os.File, size bake.Size) layout.Root {
	t.Helper()
	before, err := layout.Find(f)
	if err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(t.TempDir(), "note")
	if err := os.WriteFile(note, []byte("still here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside := func(root layout.Root) string { return fmt.Sprintf("%s?offset=%d", f.Name(), root.Offset) }
	tool(t, "debugfs", "-w", "-R", "write "+note+" note", inside(before))
	got, err := layout.Grow(t.Context(), f, size, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	if again, err := layout.Find(f); err != nil || again != got {
		t.Errorf("Grow returned %+v, Find %+v, %v", got, again, err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != int64(size) {
		t.Errorf("the disk has %d bytes, %v", info.Size(), err)
	}
	fsck(t, f, got)
	if said := tool(t, "debugfs", "-R", "cat note", inside(got)); !strings.Contains(said, "still here") {
		t.Errorf("the file in it says %q", said)
	}
	if dump := tool(t, "dumpe2fs", "-h", inside(got)); number(t, dump, "Block count:")*number(t, dump, "Block size:") != got.Size {
		t.Errorf("the filesystem does not fill its %d bytes:\n%s", got.Size, dump)
	}
	if loops := tool(t, "losetup", "--list", "--output", "BACK-FILE"); strings.Contains(loops, f.Name()) {
		t.Errorf("a loop device is left:\n%s", loops)
	}
	return got
}

// number returns what dumpe2fs says behind a label.
func number(t *testing.T, dump, label string) int64 {
	t.Helper()
	_, rest, _ := strings.Cut(dump, "\n"+label)
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGrowADiskOfOurOwn(t *testing.T) {
	f := disk(t)
	l := create(t, f, "web", bake.AMD64)
	if err := l.AddJournal(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	got := grow(t, f, 2*bake.GiB)
	if end := got.Offset + got.Size; end < int64(2*bake.GiB)-mib {
		t.Errorf("the root ends at %d", end)
	}
	for _, p := range sfdisk(t, f).PartitionTable.Partitions {
		if p.Name == "root" && p.Size*512 != got.Size {
			t.Errorf("the partition has %d bytes, the root %d", p.Size*512, got.Size)
		}
	}
	backup := make([]byte, 8)
	if _, err := f.ReadAt(backup, int64(testSize)-512); err != nil || string(backup) == "EFI PART" {
		t.Errorf("the old copy of the table is still there: %q, %v", backup, err)
	}
}

func TestGrowADiskWithAnOldTable(t *testing.T) {
	f := partitioned(t, "label: dos", "start=1MiB, size=8MiB, type=82", "start=16MiB, type=83")
	ext4(t, f, layout.Extent{Offset: 16 * mib, Size: 48 * mib})
	if got := grow(t, f, 256*bake.MiB); got.Size != 240*mib {
		t.Errorf("got %+v", got)
	}
	sfdisk := tool(t, "sfdisk", "--verify", f.Name())
	if !strings.Contains(sfdisk, "No errors detected") {
		t.Errorf("sfdisk --verify: %s", sfdisk)
	}
}

func TestGrowABareFilesystem(t *testing.T) {
	f := disk(t)
	ext4(t, f, layout.Extent{Size: 64 * mib})
	if err := f.Truncate(64 * mib); err != nil {
		t.Fatal(err)
	}
	if got := grow(t, f, 128*bake.MiB); got.Size != 128*mib {
		t.Errorf("got %+v", got)
	}
}

func TestGrowRefuses(t *testing.T) {
	f := partitioned(t, "label: gpt", "start=1MiB, size=40MiB, type="+linux, "start=41MiB, size=8MiB, type="+linux)
	ext4(t, f, layout.Extent{Offset: mib, Size: 40 * mib})
	before := digest(t, f)
	for size, want := range map[bake.Size]string{
		128 * bake.MiB:   "partition 2 lies behind the root",
		32 * bake.MiB:    "not below the 64MiB of the source",
		128*bake.MiB + 1: "multiple of 512",
	} {
		_, err := layout.Grow(t.Context(), f, size, nil)
		if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v: got %v, want %q", size, err, want)
		}
	}
	if got, err := layout.Grow(t.Context(), f, 64*bake.MiB, nil); err != nil || got.Partition != 1 {
		t.Errorf("the size it has: got %+v, %v", got, err)
	}
	if digest(t, f) != before {
		t.Error("the disk changed")
	}
}
