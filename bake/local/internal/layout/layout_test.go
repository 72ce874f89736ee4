package layout_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/layout"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

func TestMain(m *testing.M) {
	if code, ran := sandbox.Main(layout.Tasks()); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const testSize = 384 * bake.MiB

// disk returns an empty file.
func disk(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func create(t *testing.T, f *os.File, seed string, arch bake.Arch) layout.Layout {
	t.Helper()
	l, err := layout.Create(t.Context(), f, testSize, seed, arch)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// tool runs a program of this machine and returns what it said.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func digest(t *testing.T, f *os.File) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sfdisk is what sfdisk says of a disk, and that it finds no fault.
func sfdisk(t *testing.T, f *os.File) (table struct {
	PartitionTable struct {
		ID         string
		Partitions []struct {
			Node, Type, UUID, Name string
			Start, Size            int64
		}
	}
},
) {
	t.Helper()
	if out := tool(t, "sfdisk", "--verify", f.Name()); !strings.Contains(out, "No errors detected") {
		t.Errorf("sfdisk --verify: %s", out)
	}
	if err := json.Unmarshal([]byte(tool(t, "sfdisk", "--json", f.Name())), &table); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestCreateMakesADiskThatOtherToolsAccept(t *testing.T) {
	f := disk(t)
	l := create(t, f, "web", bake.AMD64)
	table := sfdisk(t, f).PartitionTable
	want := map[string]layout.Extent{"root": l.Root.Extent, "bios": l.BIOS, "esp": l.ESP}
	if len(table.Partitions) != len(want) {
		t.Fatalf("got %d partitions", len(table.Partitions))
	}
	for _, p := range table.Partitions {
		if got := (layout.Extent{Offset: p.Start * 512, Size: p.Size * 512}); got != want[p.Name] {
			t.Errorf("%s: got %v, want %v", p.Name, got, want[p.Name])
		}
	}
	if !strings.HasSuffix(table.Partitions[0].Node, "1") || table.Partitions[0].Name != "root" {
		t.Errorf("partition 1 is %+v, want the root", table.Partitions[0])
	}
	if err := l.AddJournal(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	fsck(t, f, l.Root)
	dump := tool(t, "dumpe2fs", "-h", fmt.Sprintf("%s?offset=%d", f.Name(), l.Root.Offset))
	for _, want := range []string{l.UUID, "has_journal", "Reserved block count:     8"} {
		if !strings.Contains(dump, want) {
			t.Errorf("dumpe2fs does not say %q:\n%s", want, dump)
		}
	}
}

// fsck checks the ext4 of a disk without changing it.
func fsck(t *testing.T, f *os.File, root layout.Root) {
	t.Helper()
	tool(t, "e2fsck", "-f", "-n", fmt.Sprintf("%s?offset=%d", f.Name(), root.Offset))
}

func TestCreateIsMostlyHoles(t *testing.T) {
	f := disk(t)
	l := create(t, f, "web", bake.AMD64)
	if err := l.AddJournal(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	dirty := 0
	buf, zero := make([]byte, 512<<10), make([]byte, 512<<10)
	for at := int64(0); at < int64(testSize); at += int64(len(buf)) {
		if _, err := f.ReadAt(buf, at); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf, zero) {
			dirty++
		}
	}
	if dirty > 16 {
		t.Errorf("an empty disk has %d blocks that are not zero", dirty)
	}
}

func TestSameSeedSameBytesOtherSeedOtherNames(t *testing.T) {
	files := map[string][]byte{"EFI/BOOT/BOOTX64.EFI": []byte("shim"), "EFI/debian/grub.cfg": []byte("configfile\n")}
	var sums []string
	var layouts []layout.Layout
	for _, seed := range []string{"web", "web", "db"} {
		f := disk(t)
		l := create(t, f, seed, bake.AMD64)
		if err := errors.Join(l.WriteESP(t.Context(), f, files), l.AddJournal(t.Context(), f)); err != nil {
			t.Fatal(err)
		}
		sums, layouts = append(sums, digest(t, f)), append(layouts, l)
	}
	if sums[0] != sums[1] {
		t.Error("two disks of one seed differ")
	}
	if layouts[0].UUID == layouts[2].UUID || layouts[0].ESPUUID == layouts[2].ESPUUID {
		t.Errorf("two seeds share a name: %+v and %+v", layouts[0], layouts[2])
	}
}

func TestCreateForArm64HasNoBIOSPartition(t *testing.T) {
	f := disk(t)
	l := create(t, f, "web", bake.ARM64)
	if n := len(sfdisk(t, f).PartitionTable.Partitions); n != 2 || l.BIOS.Size != 0 {
		t.Errorf("got %d partitions, BIOS %v", n, l.BIOS)
	}
	if err := l.EmbedGRUB(f, make([]byte, 512), make([]byte, 4096)); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("EmbedGRUB: got %v", err)
	}
}

func TestCreateRefusesSizes(t *testing.T) {
	for _, size := range []bake.Size{0, 100 * bake.MiB, testSize + 1} {
		if _, err := layout.Create(t.Context(), disk(t), size, "web", bake.AMD64); !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("%v: got %v", size, err)
		}
	}
}

func TestCreateWithoutToolsSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := layout.Create(t.Context(), disk(t), testSize, "web", bake.AMD64)
	if err == nil || !strings.Contains(err.Error(), "apt-get install e2fsprogs") {
		t.Errorf("got %v", err)
	}
	if missing, want := layout.Missing(), []string{"dosfstools", "e2fsprogs", "mtools"}; !slices.Equal(missing, want) {
		t.Errorf("Missing: got %v, want %v", missing, want)
	}
}

func TestWriteESPMakesAFilesystemThatReadsBack(t *testing.T) {
	f := disk(t)
	l := create(t, f, "web", bake.AMD64)
	files := map[string][]byte{"EFI/BOOT/BOOTX64.EFI": bytes.Repeat([]byte("shim"), 200_000), "EFI/debian/grub.cfg": []byte("configfile\n")}
	if err := l.WriteESP(t.Context(), f, files); err != nil {
		t.Fatal(err)
	}
	image := fmt.Sprintf("%s@@%d", f.Name(), l.ESP.Offset)
	for name, want := range files {
		if got := tool(t, "mtype", "-i", image, "::"+name); got != string(want) {
			t.Errorf("%s: got %d bytes, want %d", name, len(got), len(want))
		}
	}
	esp := filepath.Join(t.TempDir(), "esp")
	b := make([]byte, l.ESP.Size)
	if _, err := f.ReadAt(b, l.ESP.Offset); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(esp, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := tool(t, "fsck.vfat", "-n", "-v", esp); !strings.Contains(out, "32 bit entries") {
		t.Errorf("the ESP is not FAT32:\n%s", out)
	}
	if id := fmt.Sprintf("%04X-%04X", binary.LittleEndian.Uint16(b[69:]), binary.LittleEndian.Uint16(b[67:])); id != l.ESPUUID {
		t.Errorf("serial number %s, want %s", id, l.ESPUUID)
	}
}

func TestEmbedGRUBKeepsTheTableAndFillsInThePlaces(t *testing.T) {
	f := disk(t)
	l := create(t, f, "web", bake.AMD64)
	before := make([]byte, 512)
	if _, err := f.ReadAt(before, 0); err != nil {
		t.Fatal(err)
	}
	boot, core := bytes.Repeat([]byte{0x11}, 512), bytes.Repeat([]byte{0x22}, 2*512+100)
	if err := l.EmbedGRUB(f, boot, core); err != nil {
		t.Fatal(err)
	}
	after, got := make([]byte, 512), make([]byte, 4*512)
	_, err1 := f.ReadAt(after, 0)
	_, err2 := f.ReadAt(got, l.BIOS.Offset)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(after[440:], before[440:]) {
		t.Error("the partition table changed")
	}
	if at := binary.LittleEndian.Uint64(after[0x5c:]); at != 2048 {
		t.Errorf("core at sector %d", at)
	}
	if at, n := binary.LittleEndian.Uint64(got[0x1f4:]), binary.LittleEndian.Uint16(got[0x1fc:]); at != 2049 || n != 2 {
		t.Errorf("rest of the core at sector %d, %d sectors", at, n)
	}
	if !bytes.Equal(got[512:1124], core[512:]) || got[1124] != 0 {
		t.Error("the core changed")
	}
	sfdisk(t, f)
	for _, bad := range [][2][]byte{{boot[:511], core}, {boot, nil}, {boot, make([]byte, 2<<20)}} {
		if err := l.EmbedGRUB(f, bad[0], bad[1]); !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("images of %d and %d bytes: got %v", len(bad[0]), len(bad[1]), err)
		}
	}
}
