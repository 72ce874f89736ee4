package seal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/child"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
	"github.com/iibake/iibake/bake/local/internal/seal"
)

func TestMain(m *testing.M) {
	if code, ran := sandbox.Main(map[string]sandbox.Task{seal.TaskName: seal.Task, "list": list, "sh": shell}); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// list returns every file of the image with its content.
func list(_ context.Context, e *sandbox.Env, _ json.RawMessage) (any, error) {
	files := sandboxtest.Files{}
	err := filepath.WalkDir(e.Root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(e.Root, p)
		switch {
		case d.IsDir():
			files[name+"/"] = ""
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			files[name] = "->" + target
		default:
			b, _ := os.ReadFile(p)
			files[name] = string(b)
		}
		return nil
	})
	return files, err
}

func shell(ctx context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var script string
	if err := json.Unmarshal(input, &script); err != nil {
		return nil, err
	}
	return nil, e.Command(ctx, sandbox.Command{Argv: []string{"sh", "-ec", script}})
}

func contents(t *testing.T, disk *os.File) sandboxtest.Files {
	t.Helper()
	files := sandboxtest.Files{}
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "list", Root: &sandbox.Root{Disk: disk, ReadOnly: true}}, &files); err != nil {
		t.Fatal(err)
	}
	return files
}

func run(t *testing.T, disk *os.File) []string {
	t.Helper()
	var log []string
	if err := seal.Run(t.Context(), sandbox.Root{Disk: disk}, func(line string) { log = append(log, line) }); err != nil {
		t.Fatal(err)
	}
	sandboxtest.NothingLeft(t)
	return log
}

// dirty is what a build, or a machine that was booted, leaves in an image.
func dirty() sandboxtest.Files {
	return sandboxtest.Files{
		"etc/machine-id": "0123456789abcdef0123456789abcdef\n", "var/lib/dbus/machine-id": "0123", "etc/ssh/ssh_host_rsa_key": "secret",
		"etc/ssh/ssh_host_rsa_key.pub": "public", "root/.bash_history": "ls", "home/admin/.python_history": "1+1", "etc/shadow-": "old",
		"var/lib/dhcp/dhclient.leases": "lease", "var/lib/NetworkManager/internal-1-eth0.lease": "lease",
		"var/lib/cloud/instance": "->instances/i-1", "var/lib/cloud/instances/i-1/user-data": "x", "var/lib/cloud/data/status": "x",
		"var/log/syslog": "boot", "var/log/syslog.1": "boot", "var/log/nginx/access.log": "GET /", "var/log/journal/0123/system.journal": "x",
		"var/cache/apt/archives/x.deb": "x", "var/cache/apt/pkgcache.bin": "x", "var/lib/apt/lists/deb_InRelease": "x",
		"var/lib/apt/lists/partial/": "", "var/cache/dnf/x/repomd.xml": "x", "tmp/x/y": "x", "var/tmp/x": "x", "run/x": "x",
		"var/lib/systemd/random-seed": "x", "etc/udev/rules.d/70-persistent-net.rules": "x", "etc/netplan/50-cloud-init.yaml": "x",
	}
}

// kept is what looks alike and belongs to the image.
func kept() sandboxtest.Files {
	return sandboxtest.Files{
		"etc/ssh/sshd_config": "x", "root/.bashrc": "x", "home/admin/.ssh/authorized_keys": "x", "etc/udev/rules.d/70-mine.rules": "x",
		"var/lib/cloud/scripts/per-boot/mine": "x", "var/lib/cloud/seed/nocloud/meta-data": "x", "var/cache/debconf/config.dat": "x",
		"etc/shadow": "root:*:1::::::", "var/lib/dpkg/status": "x",
	}
}

func TestSeal(t *testing.T) {
	files := dirty()
	maps.Copy(files, kept())
	disk := sandboxtest.Disk(t, 64<<20, files)
	run(t, disk)
	got := contents(t, disk)
	for name := range dirty() {
		content, there := got[name]
		switch name {
		case "etc/machine-id", "var/log/syslog", "var/log/nginx/access.log":
			if !there || content != "" {
				t.Errorf("%s: want an empty file, have %v %q", name, there, content)
			}
		case "var/lib/apt/lists/partial/":
			if !there {
				t.Errorf("%s is gone", name)
			}
		default:
			if there {
				t.Errorf("%s is still there", name)
			}
		}
	}
	for name, content := range kept() {
		if got[name] != content {
			t.Errorf("%s: %q", name, got[name])
		}
	}
}

func TestSealedAgainNothingChanges(t *testing.T) {
	disk := sandboxtest.Disk(t, 64<<20, dirty())
	run(t, disk)
	before := contents(t, disk)
	run(t, disk)
	if after := contents(t, disk); len(after) != len(before) {
		t.Fatal(after)
	}
}

func TestSealErasesFreedBlocks(t *testing.T) {
	disk := sandboxtest.Disk(t, 256<<20, sandboxtest.Busybox(t), "-b", "4096")
	needle := []byte("correct horse battery staple")
	script := "i=0; while [ $i -lt 2000 ]; do echo 'correct horse battery staple' $i; i=$((i+1)); done > /root/x; sync; rm /root/x"
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "sh", Root: &sandbox.Root{Disk: disk}, Input: script}, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(all(t, disk), needle) {
		t.Fatal("deleting erased it already: the test shows nothing")
	}
	run(t, disk)
	if bytes.Contains(all(t, disk), needle) {
		t.Fatal("still there")
	}
}

func all(t *testing.T, disk *os.File) []byte {
	t.Helper()
	info, err := disk.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(disk, 0, info.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLinksAreNotFollowed(t *testing.T) {
	outside := t.TempDir()
	sandboxtest.Files{"precious": "x"}.Write(t, outside)
	disk := sandboxtest.Disk(t, 64<<20, sandboxtest.Files{"tmp": "->" + outside, "var/tmp": "->../srv", "srv/data": "x", "var/log": "->/srv"})
	run(t, disk)
	if got := contents(t, disk); got["srv/data"] != "x" {
		t.Error("a folder behind a link was emptied")
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Error(err)
	}
}

// Older installations and some images have a link in the place of the machine's identity, also to where there is nothing.
func TestIdentityBehindALink(t *testing.T) {
	for _, target := range []string{"/var/lib/dbus/machine-id", "../var/lib/dbus/machine-id", "/run/machine-id"} {
		disk := sandboxtest.Disk(t, 64<<20, sandboxtest.Files{"etc/machine-id": "->" + target, "var/lib/dbus/machine-id": "0123"})
		run(t, disk)
		got := contents(t, disk)
		if id, ok := got["etc/machine-id"]; !ok || id != "" {
			t.Errorf("link to %s: machine-id is %q, %v", target, id, ok)
		}
		if id, ok := got["var/lib/dbus/machine-id"]; ok {
			t.Errorf("link to %s: that of D-Bus is %q", target, id)
		}
	}
}

func TestServerWithoutHostKeysIsNoted(t *testing.T) {
	files := sandboxtest.Files{"usr/sbin/sshd": "x"}
	if log := run(t, sandboxtest.Disk(t, 64<<20, files)); len(log) != 1 || !strings.Contains(log[0], "host keys") {
		t.Error(log)
	}
	files["etc/cloud/cloud.cfg"] = "x"
	if log := run(t, sandboxtest.Disk(t, 64<<20, files)); len(log) != 0 {
		t.Error(log)
	}
}

func TestDamagedFilesystem(t *testing.T) {
	disk := sandboxtest.Disk(t, 64<<20, sandboxtest.Busybox(t))
	if _, err := child.Output(t.Context(), []*os.File{disk}, "debugfs", "-w", "-R", "sif /etc/passwd links_count 9", "/dev/fd/3"); err != nil {
		t.Fatal(err)
	}
	err := seal.Run(t.Context(), sandbox.Root{Disk: disk}, nil)
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatal(err)
	}
	sandboxtest.NothingLeft(t)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := seal.Run(ctx, sandbox.Root{Disk: sandboxtest.Disk(t, 64<<20, nil)}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	sandboxtest.NothingLeft(t)
}

// BenchmarkSeal copies a file into a sealed image with half a gigabyte of data and seals it again. It reports how many
// 512 KiB blocks that changes.
func BenchmarkSeal(b *testing.B) {
	tree := b.TempDir()
	sandboxtest.Busybox(b).Write(b, tree)
	for i := range 8000 {
		name := filepath.Join(tree, "usr/share", string(rune('a'+i%26)), "f"+strings.Repeat("x", i/26))
		_ = os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name[:min(len(name), 200)], bytes.Repeat([]byte{byte(i)}, 64<<10), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	disk := sandboxtest.DiskOf(b, 2<<30, tree, "-b", "4096")
	root := sandbox.Root{Disk: disk}
	if err := seal.Run(b.Context(), root, nil); err != nil {
		b.Fatal(err)
	}
	before := blocks(b, disk)
	changed := 0
	for b.Loop() {
		if err := seal.Run(b.Context(), root, nil); err != nil {
			b.Fatal(err)
		}
	}
	for i, block := range blocks(b, disk) {
		if block != before[i] {
			changed++
		}
	}
	b.ReportMetric(float64(changed), "changed-blocks")
}

// blocks returns a checksum of every block.
func blocks(b *testing.B, disk *os.File) []bake.Digest {
	b.Helper()
	info, err := disk.Stat()
	if err != nil {
		b.Fatal(err)
	}
	list := make([]bake.Digest, info.Size()>>19)
	buf := make([]byte, 512<<10)
	for at := int64(0); ; {
		data, err := disk.Seek(at, unix.SEEK_DATA)
		if err != nil {
			return list
		}
		n, _ := disk.ReadAt(buf, data>>19<<19)
		list[data>>19] = bake.DigestOf(buf[:n])
		at = (data>>19 + 1) << 19
	}
}

func TestOtherFilesystemsOfTheDiskAreTrimmedToo(t *testing.T) {
	const rootSize, bootSize = 32 << 20, 16 << 20
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	tree := sandboxtest.Busybox(t)
	tree["boot/"], tree["etc/fstab"] = "", "LABEL=BOOT /boot ext4 defaults 0 2\n"
	for at, part := range map[int64]*os.File{
		0: sandboxtest.Disk(t, rootSize, tree), rootSize: sandboxtest.Disk(t, bootSize, sandboxtest.Files{}, "-L", "BOOT", "-b", "4096"),
	} {
		if _, err := part.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.NewOffsetWriter(f, at), part); err != nil {
			t.Fatal(err)
		}
	}
	root := sandbox.Root{Disk: f, Size: rootSize, Others: []sandbox.Part{{Offset: rootSize, Size: bootSize}}}
	const gone = "the initrd that was replaced"
	script := "i=0; while [ $i -lt 2000 ]; do echo " + gone + " >> /boot/initrd; i=$((i+1)); done; sync; rm /boot/initrd"
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "sh", Root: &root, Input: script}, nil); err != nil {
		t.Fatal(err)
	}
	if err := seal.Run(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	sandboxtest.NothingLeft(t)
	if bytes.Contains(all(t, f), []byte(gone)) {
		t.Error("what was deleted from /boot can still be read from the disk")
	}
}
