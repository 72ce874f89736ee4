package layout_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/layout"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

const (
	mib = 1 << 20
	// Types of partitions as sfdisk abbreviates them.
	linux, boot = "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "BC13C2FF-59E6-4262-A352-B275FD6F7172"
	rootType    = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
)

// partitioned returns a disk of 64 MiB that sfdisk made of a script.
func partitioned(t *testing.T, script ...string) *os.File {
	t.Helper()
	f := disk(t)
	if err := f.Truncate(64 * mib); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sfdisk", "--quiet", f.Name())
	cmd.Stdin = strings.NewReader(strings.Join(script, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	return f
}

// ext4 makes a filesystem in a part of a disk.
func ext4(t *testing.T, f *os.File, at layout.Extent) {
	t.Helper()
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-E", "offset="+strconv.FormatInt(at.Offset, 10),
		f.Name(), strconv.FormatInt(at.Size/1024, 10)+"k")
}

// magic writes what tells a filesystem, without the rest of it.
func magic(t *testing.T, f *os.File, at int64, s string) {
	t.Helper()
	if _, err := f.WriteAt([]byte(s), at); err != nil {
		t.Fatal(err)
	}
}

func TestFindTheRootOfDisksOfOthers(t *testing.T) {
	for name, test := range map[string]struct {
		script []string
		ext4   []layout.Extent
		want   layout.Root
	}{
		"old table, as virt-install makes it": {
			[]string{"label: dos", "start=1MiB, type=83, bootable"},
			[]layout.Extent{{Offset: mib, Size: 63 * mib}},
			layout.Root{Extent: layout.Extent{Offset: mib, Size: 63 * mib}, FSType: layout.Ext4, Partition: 1},
		},
		"old table, root behind swap": {
			[]string{"label: dos", "start=1MiB, size=8MiB, type=82", "start=16MiB, type=83"},
			[]layout.Extent{{Offset: 16 * mib, Size: 48 * mib}},
			layout.Root{Extent: layout.Extent{Offset: 16 * mib, Size: 48 * mib}, FSType: layout.Ext4, Partition: 2},
		},
		"GPT, a larger /boot than the root": {
			[]string{"label: gpt", "start=1MiB, size=40MiB, type=" + boot, "start=41MiB, size=16MiB, type=" + linux},
			[]layout.Extent{{Offset: mib, Size: 40 * mib}, {Offset: 41 * mib, Size: 16 * mib}},
			layout.Root{Extent: layout.Extent{Offset: 41 * mib, Size: 16 * mib}, FSType: layout.Ext4, Partition: 2},
		},
		"GPT, the type says it": {
			[]string{"label: gpt", "start=1MiB, size=40MiB, type=" + linux, "start=41MiB, size=16MiB, type=" + rootType},
			[]layout.Extent{{Offset: mib, Size: 40 * mib}, {Offset: 41 * mib, Size: 16 * mib}},
			layout.Root{Extent: layout.Extent{Offset: 41 * mib, Size: 16 * mib}, FSType: layout.Ext4, Partition: 2},
		},
		"GPT, the largest of those that do not say": {
			[]string{"label: gpt", "start=1MiB, size=8MiB, type=" + linux, "start=9MiB, size=32MiB, type=" + linux},
			[]layout.Extent{{Offset: mib, Size: 8 * mib}, {Offset: 9 * mib, Size: 32 * mib}},
			layout.Root{Extent: layout.Extent{Offset: 9 * mib, Size: 32 * mib}, FSType: layout.Ext4, Partition: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := partitioned(t, test.script...)
			for _, at := range test.ext4 {
				ext4(t, f, at)
			}
			if got, err := layout.Find(f); err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestFindTheRootOfADiskOfOurOwn(t *testing.T) {
	f := disk(t)
	want := create(t, f, "web", bake.AMD64).Root
	if got, err := layout.Find(f); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestFindABareFilesystem(t *testing.T) {
	for kind, place := range map[layout.FSType]struct {
		at    int64
		magic string
	}{layout.Ext4: {1080, "\x53\xef"}, layout.XFS: {0, "XFSB"}, layout.Btrfs: {65600, "_BHRfS_M"}} {
		f := disk(t)
		if err := f.Truncate(8 * mib); err != nil {
			t.Fatal(err)
		}
		magic(t, f, place.at, place.magic)
		want := layout.Root{Extent: layout.Extent{Size: 8 * mib}, FSType: kind}
		if got, err := layout.Find(f); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestFindSaysWhyThereIsNoRoot(t *testing.T) {
	gpt := []string{"label: gpt", "start=1MiB, size=40MiB"}
	for name, test := range map[string]struct {
		script []string
		at     int64
		magic  string
		want   string
	}{
		"LVM":       {gpt, mib + 512, "LABELONE", "partition 1 holds LVM"},
		"LUKS":      {gpt, mib, "LUKS\xba\xbe", "partition 1 holds an encrypted volume"},
		"Windows":   {[]string{"label: dos", "start=1MiB, type=7"}, mib + 3, "NTFS    ", "partition 1 holds NTFS"},
		"nothing":   {gpt, 0, "", "partition 1 holds nothing known"},
		"qcow2":     {gpt, 0, "QFI\xfb", "qemu-img convert -O raw"},
		"4K":        {gpt, 4096, "EFI PART", "sectors of 4096 bytes"},
		"table":     {gpt, 1024 + 40, "x", "the partition table is damaged"},
		"header":    {gpt, 512 + 60, "x", "the header of the partition table is damaged"},
		"installer": {[]string{"label: dos", "start=1MiB, type=83"}, mib + 32769, "CD001", "partition 1 holds ISO 9660"},
	} {
		t.Run(name, func(t *testing.T) {
			f := partitioned(t, test.script...)
			magic(t, f, test.at, test.magic)
			_, err := layout.Find(f)
			if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	for _, size := range []int64{0, 511, 4096} {
		f := disk(t)
		if err := f.Truncate(64 * mib); err != nil {
			t.Fatal(err)
		}
		if _, err := layout.Find(f); !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("%d bytes: got %v", size, err)
		}
	}
}

// A table that an old installer left behind counts for nothing once the disk has another one.
func TestFindIgnoresALeftOverGPT(t *testing.T) {
	f := partitioned(t, "label: gpt", "start=1MiB, size=8MiB, type="+linux)
	ext4(t, f, layout.Extent{Offset: mib, Size: 8 * mib})
	header := make([]byte, 512)
	if _, err := f.ReadAt(header, 512); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sfdisk", "--quiet", "--wipe", "always", f.Name())
	cmd.Stdin = strings.NewReader("label: dos\nstart=16MiB, type=83\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	magic(t, f, 512, string(header))
	ext4(t, f, layout.Extent{Offset: 16 * mib, Size: 48 * mib})
	if got, err := layout.Find(f); err != nil || got.Offset != 16*mib {
		t.Errorf("got %+v, %v", got, err)
	}
}

// FuzzFind changes the first sectors of good disks: whatever they say, a root lies on the disk.
func FuzzFind(f *testing.F) {
	for _, label := range []string{"dos", "gpt"} {
		name := filepath.Join(f.TempDir(), label)
		if err := os.WriteFile(name, make([]byte, 4*mib), 0o600); err != nil {
			f.Fatal(err)
		}
		cmd := exec.CommandContext(f.Context(), "sfdisk", "--quiet", name)
		cmd.Stdin = strings.NewReader("label: " + label + "\nstart=1MiB\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			f.Fatalf("sfdisk: %v\n%s", err, out)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		copy(b[mib+1080:], "\x53\xef")
		f.Add(b[:2048], uint16(0x438))
	}
	f.Fuzz(func(t *testing.T, head []byte, magicAt uint16) {
		const size = 4 * mib
		d, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		_, err1 := d.WriteAt(head[:min(len(head), size)], 0)
		_, err2 := d.WriteAt([]byte("\x53\xef"), mib+int64(magicAt))
		if err := errors.Join(err1, err2, d.Truncate(size)); err != nil {
			t.Fatal(err)
		}
		got, err := layout.Find(d)
		if err == nil && (got.Offset < 0 || got.Size <= 0 || got.Offset+got.Size > size) {
			t.Errorf("got %+v on a disk of %d bytes", got, size)
		}
		if err != nil && !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFilesystemsKnowsTheOthersByTheirNamesInTheTable(t *testing.T) {
	f := partitioned(t, "label: gpt",
		"size=8MiB, type="+boot+", uuid=5E5E5E5E-0000-4000-8000-0000000000B0, name=boot",
		"size=4MiB, type=U, uuid=5E5E5E5E-0000-4000-8000-0000000000EF",
		"size=4MiB, type=S",
		"type="+rootType)
	ext4(t, f, layout.Extent{Offset: 1 * mib, Size: 8 * mib})
	magic(t, f, 9*mib+54, "FAT16   ")
	magic(t, f, 13*mib+4086, "SWAPSPACE2")
	ext4(t, f, layout.Extent{Offset: 17 * mib, Size: 46 * mib})
	got, err := layout.Filesystems(f)
	if err != nil {
		t.Fatal(err)
	}
	want := []sandbox.Part{
		{Offset: 1 * mib, Size: 8 * mib, UUID: "5e5e5e5e-0000-4000-8000-0000000000b0", Label: "boot"},
		{Offset: 9 * mib, Size: 4 * mib, UUID: "5e5e5e5e-0000-4000-8000-0000000000ef"},
	}
	if got.Offset != 17*mib || !slices.Equal(got.Others, want) {
		t.Errorf("got %+v, want a root at 17 MiB and %+v", got, want)
	}
}

func TestFilesystemsOfAnOldTableHaveTheDisksSignature(t *testing.T) {
	f := partitioned(t, "label: dos", "label-id: 0xcafe0001", "size=8MiB, type=83", "type=83")
	ext4(t, f, layout.Extent{Offset: 1 * mib, Size: 8 * mib})
	ext4(t, f, layout.Extent{Offset: 9 * mib, Size: 55 * mib})
	got, err := layout.Filesystems(f)
	if err != nil || len(got.Others) != 1 || got.Others[0].UUID != "cafe0001-01" {
		t.Errorf("got %+v, %v; want one other part, cafe0001-01", got, err)
	}
}
