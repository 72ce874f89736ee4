package sandbox_test

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

const mib = 1 << 20

// Where the parts of a disk with a /boot and an EFI system partition of their own lie, as on cloud images of Ubuntu and Fedora.
const (
	rootAt, rootSize = 1 * mib, 64 * mib
	bootAt, bootSize = 65 * mib, 16 * mib
	espAt, espSize   = 81 * mib, 8 * mib
	bootUUID         = "0a1b2c3d-0000-4000-8000-00000000b007"
	partUUID         = "5e5e5e5e-0000-4000-8000-0000000000ef"
)

// parted returns a disk whose root has an fstab, with a /boot of its own, and an EFI system partition.
func parted(t *testing.T, fstab string) *sandbox.Root {
	t.Helper()
	tree := sandboxtest.Busybox(t)
	tree["boot/efi/"], tree["etc/fstab"] = "", fstab
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := f.Truncate(96 * mib); err != nil {
		t.Fatal(err)
	}
	put(t, f, rootAt, sandboxtest.Disk(t, rootSize, tree))
	put(t, f, bootAt, sandboxtest.Disk(t, bootSize, sandboxtest.Files{"efi/": "", "vmlinuz": "old"}, "-U", bootUUID, "-L", "BOOT"))
	out, err := exec.CommandContext(t.Context(), "mkfs.vfat", "-i", "CAFE0001", "--offset", "165888", f.Name(), "8192").CombinedOutput()
	if err != nil {
		t.Fatalf("mkfs.vfat: %v\n%s", err, out)
	}
	return &sandbox.Root{Disk: f, Offset: rootAt, Size: rootSize, Others: []sandbox.Part{
		{Offset: espAt, Size: espSize, UUID: partUUID, Label: "esp"},
		{Offset: bootAt, Size: bootSize},
	}}
}

func put(t *testing.T, f *os.File, at int64, part *os.File) {
	t.Helper()
	if _, err := part.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.NewOffsetWriter(f, at), part); err != nil {
		t.Fatal(err)
	}
}

// onBoot reads a file of the /boot filesystem by itself.
func onBoot(t *testing.T, f *os.File, name string) string {
	t.Helper()
	var s string
	root := &sandbox.Root{Disk: f, Offset: bootAt, Size: bootSize, ReadOnly: true}
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "entry", Root: root, Input: name}, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheImagesOwnFstabSaysWhatIsMounted(t *testing.T) {
	for name, test := range map[string]struct {
		fstab   string
		mounted bool
	}{
		"by UUID":          {"UUID=" + bootUUID + " /boot ext4 defaults 0 2\n", true},
		"by UUID in caps":  {"UUID=" + strings.ToUpper(bootUUID) + " /boot ext4 defaults 0 2\n", true},
		"by label":         {"# comment\nLABEL=BOOT\t/boot\text4\tdefaults\t0 2\n", true},
		"by link":          {"/dev/disk/by-label/BOOT /boot/ auto defaults,discard 0 2\n", true},
		"quoted":           {`LABEL="BOOT" /boot ext4 defaults 0 2` + "\n", true},
		"not by itself":    {"LABEL=BOOT /boot ext4 noauto 0 2\n", false},
		"of another disk":  {"UUID=11111111-0000-4000-8000-00000000b007 /boot ext4 defaults 0 2\n", false},
		"without a folder": {"LABEL=BOOT /nowhere ext4 defaults 0 2\n", false},
		"nothing":          {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			root := parted(t, test.fstab)
			job := sandbox.Job{Task: "sh", Root: root, Input: "echo new > /boot/initrd; ls /dev/disk/by-uuid > /dev/null"}
			if err := sandbox.Run(t.Context(), job, nil); err != nil {
				t.Fatal(err)
			}
			sandboxtest.NothingLeft(t)
			if got := onBoot(t, root.Disk, "initrd") == "new\n"; got != test.mounted {
				t.Errorf("the file is on the /boot filesystem: %v, want %v", got, test.mounted)
			}
			var hidden string
			bare := &sandbox.Root{Disk: root.Disk, Offset: rootAt, Size: rootSize, ReadOnly: true}
			if err := sandbox.Run(t.Context(), sandbox.Job{Task: "entry", Root: bare, Input: "boot/initrd"}, &hidden); err != nil {
				t.Fatal(err)
			}
			if got := hidden == ""; got != test.mounted {
				t.Errorf("the folder of the root filesystem is untouched: %v, want %v", got, test.mounted)
			}
		})
	}
}

func TestFoldersWithinPartsComeAfterThem(t *testing.T) {
	root := parted(t, "PARTUUID="+partUUID+" /boot/efi vfat umask=0077 0 1\nLABEL=BOOT /boot ext4 defaults 0 2\n")
	var lines []string
	log := func(line string) { lines = append(lines, line) }
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "sh", Root: root, Input: "cat /proc/mounts", Log: log}, nil); err != nil {
		t.Fatal(err)
	}
	sandboxtest.NothingLeft(t)
	at := func(dir string) int {
		return slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, " "+dir+" ") })
	}
	alone := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "/boot/efi is left alone") })
	if at("/boot") < 0 || at("/boot/efi") < at("/boot") && alone < 0 {
		t.Fatalf("want /boot mounted, and within it /boot/efi unless the kernel does not know FAT:\n%s", strings.Join(lines, "\n"))
	}
}

func TestPartsAreReadOnlyWithTheirRoot(t *testing.T) {
	root := parted(t, "LABEL=BOOT /boot ext4 defaults 0 2\n")
	root.ReadOnly = true
	before := digest(t, root.Disk)
	var kernel string
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "read", Root: root, Input: "boot/vmlinuz"}, &kernel); err != nil || kernel != "old" {
		t.Fatal(kernel, err)
	}
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "write", Root: root, Input: sandboxtest.Files{"boot/x": "x"}}, nil); err == nil {
		t.Error("a file could be written")
	}
	if digest(t, root.Disk) != before {
		t.Error("the disk changed")
	}
	sandboxtest.NothingLeft(t)
}
