package debian_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/debian"
	"github.com/iibake/iibake/bake/local/internal/layout"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

func spec(packages ...string) debian.Spec {
	return debian.Spec{
		Debian: bake.Debian{
			Suite: "bookworm", Mirror: mirror, Security: mirror + "-security", Components: []string{"main"}, Packages: packages,
		},
		Arch: bake.AMD64, Seed: "web", Size: 2 * bake.GiB,
	}
}

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

// look is a task that returns what the tests want to know of an image.
func look(_ context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var names []string
	if err := json.Unmarshal(input, &names); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(e.Root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	found := map[string]string{}
	for _, pattern := range names {
		matches, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range matches {
			if info, err := root.Stat(name); err != nil || info.Size() > 1<<20 || info.IsDir() {
				found[name] = "" // that it is there is enough
				continue
			}
			b, err := root.ReadFile(name)
			if err != nil {
				return nil, err
			}
			found[name] = string(b)
		}
	}
	return found, nil
}

func files(t *testing.T, f *os.File, patterns ...string) map[string]string {
	t.Helper()
	root, err := layout.Find(f)
	if err != nil {
		t.Fatal(err)
	}
	var found map[string]string
	job := sandbox.Job{
		Task: lookTask, Root: &sandbox.Root{Disk: f, Offset: root.Offset, Size: root.Size, ReadOnly: true}, Input: patterns,
	}
	if err := sandbox.Run(t.Context(), job, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// Whether it boots is told by those who boot it. This is all that can be seen from outside.
func TestBootstrapMakesADiskThatCanBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("installs Debian")
	}
	f := disk(t)
	var lines []string
	if err := debian.Bootstrap(t.Context(), f, spec("tree"), func(s string) { lines = append(lines, s) }); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	t.Log(strings.Join(lines, "\n"))
	nothingLeft(t, f)
	root, err := layout.Find(f)
	if err != nil {
		t.Fatal(err)
	}
	tool(t, "e2fsck", "-f", "-n", fmt.Sprintf("%s?offset=%d", f.Name(), root.Offset))
	uuid := strings.TrimSpace(tool(t, "blkid", "-p", "-O", strconv.FormatInt(root.Offset, 10), "-s", "UUID", "-o", "value", f.Name()))
	checkFiles(t, files(t, f, "etc/*", "etc/.*", "etc/*/*", "etc/apt/*/*", "boot/*", "boot/grub/*", "boot/grub/i386-pc/normal.mod",
		"etc/cloud/*/*", "etc/systemd/system/*/*", "usr/bin/tree", "var/cache/apt/archives/*", "var/lib/apt/lists/*", "initrd.img"), uuid)
	esp := fmt.Sprintf("%s@@%d", f.Name(), 2<<20)
	for _, name := range []string{"EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/mmx64.efi"} {
		if b := tool(t, "mtype", "-i", esp, "::"+name); !strings.HasPrefix(b, "MZ") {
			t.Errorf("%s is no program: %d bytes", name, len(b))
		}
	}
	if cfg := tool(t, "mtype", "-i", esp, "::EFI/debian/grub.cfg"); !strings.Contains(cfg, uuid) {
		t.Errorf("grub.cfg of the ESP does not name the root %s:\n%s", uuid, cfg)
	}
	code := make([]byte, 440)
	if _, err := f.ReadAt(code, 0); err != nil || !strings.Contains(string(code), "GRUB") {
		t.Errorf("the first sector has no boot loader: %v", err)
	}
}

func checkFiles(t *testing.T, got map[string]string, uuid string) {
	t.Helper()
	for name, want := range map[string]string{
		"etc/fstab":                             "UUID=" + uuid + " / ext4",
		"boot/grub/grub.cfg":                    "root=UUID=" + uuid + " ro console=tty0 console=ttyS0,115200n8",
		"boot/grub/i386-pc/normal.mod":          "normal",
		"etc/apt/sources.list.d/debian.sources": "Suites: bookworm-security",
		"etc/cloud/cloud.cfg.d/90_iibake.cfg":   "[NoCloud, Ec2, None]",
		"etc/cloud/ds-identify.cfg":             "notfound=enabled",
		"etc/hostname":                          "localhost\n",
		"etc/default/locale":                    "C.UTF-8",
		"etc/machine-id":                        "",
		"usr/bin/tree":                          "",
		"initrd.img":                            "",

		"etc/systemd/system/multi-user.target.wants/systemd-networkd.service": "",
	} {
		if text, ok := got[name]; !ok || !strings.Contains(text, want) {
			t.Errorf("%s: want %q in:\n%s", name, want, text)
		}
	}
	if got["etc/machine-id"] != "" {
		t.Errorf("machine-id: %q", got["etc/machine-id"])
	}
	for name, text := range got {
		for _, bad := range []string{"mmdebstrap", "ssh_host_", "archives/", "lists/", "etc/resolv.conf.", "etc/.", "_key"} {
			if strings.Contains(name, bad) && !strings.HasSuffix(name, "/partial") && name != "etc/.pwd.lock" {
				t.Errorf("%s is in the image: %q", name, text)
			}
		}
	}
	// GRUB's scripts make no entry for a root on a loop device.
	if !strings.Contains(got["boot/grub/grub.cfg"], "menuentry 'Debian GNU/Linux'") {
		t.Error("grub.cfg has no entry for Debian")
	}
	if !strings.Contains(got["boot/grub/grub.cfg"], "search --no-floppy --fs-uuid --set=root "+uuid) {
		t.Error("grub.cfg does not search for the root")
	}
}

// tool runs a program of this machine and returns what it said.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// nothingLeft fails the test where the machine still has a mount, a loop device or a program of the bootstrap.
func nothingLeft(t *testing.T, f *os.File) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "/boot/root") {
			t.Errorf("a mount is left: %s", line)
		}
	}
	if loops := tool(t, "losetup", "--list", "--noheadings", "--output", "BACK-FILE"); strings.Contains(loops, f.Name()) {
		t.Errorf("a loop device is left: %s", loops)
	}
}

func TestBootstrapSaysWhatIsWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the archive")
	}
	for name, test := range map[string]struct {
		change func(*debian.Spec)
		kind   error
		want   []string
	}{
		"unknown package": {
			func(s *debian.Spec) { s.Debian.Packages = []string{"ngnix"} }, bake.ErrInvalid,
			[]string{"ngnix", "check source.debian.packages"},
		},
		"unknown suite": {
			func(s *debian.Spec) { s.Debian.Suite = "bokworm" }, bake.ErrInvalid,
			[]string{"bokworm", "check suite, mirror and security"},
		},
		"no network": {
			func(s *debian.Spec) { s.Debian.Mirror, s.Debian.Security = "http://127.0.0.1:9/debian", "none" }, sandbox.ErrUnavailable,
			[]string{"127.0.0.1", "check its network"},
		},
		"disk too small": {
			func(s *debian.Spec) { s.Size = 400 * bake.MiB }, sandbox.ErrGuestFull,
			[]string{"raise disk_size"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := spec(), disk(t)
			test.change(&s)
			err := debian.Bootstrap(t.Context(), f, s, func(string) {})
			if !errors.Is(err, test.kind) {
				t.Errorf("got %v, want %v", err, test.kind)
			}
			for _, want := range test.want {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
			nothingLeft(t, f)
		})
	}
}

func TestBootstrapRefusesBeforeItWritesAnything(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*debian.Spec)
		want   string
	}{
		"foreign architecture": {func(s *debian.Spec) { s.Arch = bake.ARM64 }, "cannot bootstrap arm64"},
		"package name":         {func(s *debian.Spec) { s.Debian.Packages = []string{"nginx, curl"} }, `"nginx, curl"`},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := spec(), disk(t)
			test.change(&s)
			err := debian.Bootstrap(t.Context(), f, s, func(string) {})
			if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got %v", err)
			}
			if info, err := f.Stat(); err != nil || info.Size() != 0 {
				t.Errorf("the disk has %d bytes, %v", info.Size(), err)
			}
		})
	}
}

func TestBootstrapWithoutToolsNamesAllPackages(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := debian.Bootstrap(t.Context(), disk(t), spec(), func(string) {})
	if !errors.Is(err, sandbox.ErrUnavailable) || !strings.Contains(err.Error(), "apt-get install dosfstools e2fsprogs mmdebstrap mtools") {
		t.Errorf("got %v", err)
	}
}

func TestBootstrapThatIsCancelledLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the archive")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stop, when := errors.New("enough"), "extracting archives"
	var lines []string
	f := disk(t)
	err := debian.Bootstrap(ctx, f, spec(), func(s string) {
		if lines = append(lines, s); s == when {
			cancel(stop)
		}
	})
	if !errors.Is(err, stop) || !slices.Contains(lines, when) {
		t.Errorf("got %v after %q", err, lines)
	}
	nothingLeft(t, f)
}
