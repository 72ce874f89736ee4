package hygiene_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/hygiene"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
	"github.com/iibake/iibake/bake/local/internal/seal"
)

func TestMain(m *testing.M) {
	tasks := map[string]sandbox.Task{hygiene.TaskName: hygiene.Task, seal.TaskName: seal.Task, "sh": shell}
	if code, ran := sandbox.Main(tasks); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func shell(ctx context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var script string
	if err := json.Unmarshal(input, &script); err != nil {
		return nil, err
	}
	return nil, e.Command(ctx, sandbox.Command{Argv: []string{"sh", "-ec", script}})
}

func sh(t *testing.T, disk *os.File, script string) {
	t.Helper()
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "sh", Root: &sandbox.Root{Disk: disk}, Input: script}, nil); err != nil {
		t.Fatal(err)
	}
}

// find returns the findings of a disk by path.
func find(t *testing.T, disk *os.File, spec hygiene.Spec) map[string]string {
	t.Helper()
	err := hygiene.Run(t.Context(), sandbox.Root{Disk: disk}, spec, func(line string) { t.Log(line) })
	sandboxtest.NothingLeft(t)
	found := map[string]string{}
	refusal := (*hygiene.RefusedError)(nil)
	switch {
	case err == nil:
		return found
	case !errors.As(err, &refusal) || !errors.Is(err, bake.ErrRefused):
		t.Fatal(err)
	}
	for _, f := range refusal.Findings {
		if !strings.Contains(err.Error(), f.String()) || f.Fix == "" {
			t.Errorf("not told: %+v", f)
		}
		found[f.Path] += f.What
	}
	return found
}

func disk(t *testing.T, files sandboxtest.Files) *os.File {
	t.Helper()
	return sandboxtest.Disk(t, 64<<20, files, "-b", "4096")
}

const pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"

// clean is what looks bad and is not.
func clean() sandboxtest.Files {
	return sandboxtest.Files{
		"etc/machine-id": "", "var/log/syslog": "", "var/log/nginx/access.log": "", "root/.bash_history": "", "tmp/": "", "run/": "",
		"etc/ssh/ssh_host_rsa_key.pub": "x", "var/lib/dbus/machine-id": "->/etc/machine-id", "var/lib/cloud/seed/x": "",
		"etc/shadow":               "root:*:1::::::\ndaemon:!:1::::::\nops:!$6$salt$hash:1::::::\n",
		"usr/share/doc/key.pem":    pem, // owned
		"usr/lib/python/ssl.py":    "if line == '-----BEGIN RSA PRIVATE KEY-----':\n",
		"etc/ssl/certs/ca.pem":     "-----BEGIN CERTIFICATE-----\nMIIB\n",
		"root/.docker/config.json": "{}", "root/.netrc": "# nothing\n",
		"etc/ssl/private/ssl-cert-snakeoil.key": pem,
		"var/lib/dpkg/info/docs.list":           "/.\n/usr\n/usr/share/doc/key.pem\n/bin/su\n",
	}
}

func TestCleanImage(t *testing.T) {
	if found := find(t, disk(t, clean()), hygiene.Spec{}); len(found) > 0 {
		t.Fatal(found)
	}
	files := clean()
	files["etc/machine-id"] = "uninitialized\n"
	if found := find(t, disk(t, files), hygiene.Spec{}); len(found) > 0 {
		t.Fatal(found)
	}
}

func TestFindings(t *testing.T) {
	bad := sandboxtest.Files{
		"etc/machine-id": "0123456789abcdef0123456789abcdef\n", "etc/ssh/ssh_host_ed25519_key": pem, "root/.bash_history": "ls",
		"home/ops/.zsh_history": "ls", "var/lib/dhcp/dhclient.leases": "x", "var/lib/cloud/instance": "->instances/i-1",
		"var/lib/cloud/instances/i-1/user-data": "x", "var/log/nginx/access.log": "GET /", "var/lib/systemd/random-seed": "x",
		"tmp/dir/x": "x", "var/tmp/x": "x", "run/x": "x", "var/cache/apt/archives/a.deb": "x", "var/lib/apt/lists/deb_InRelease": "x",
		"etc/.resolv.conf.iibake": "x", "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n", "etc/shadow": "root:$6$salt$hash:1::::::\nguest::1::::::\n",
		"home/ops/.ssh/id_ed25519": pem, "srv/tls/key.ppk": "PuTTY-User-Key-File-3: ssh-ed25519\n", "root/.aws/credentials": "aws_secret_access_key = x",
		"root/.netrc": "machine a login b password c", "home/ops/.docker/config.json": `{"auths":{"r":{"auth":"eA=="}}}`, "root/.git-credentials": "https://a:b@c",
	}
	files := clean()
	maps.Copy(files, bad)
	found := find(t, disk(t, files), hygiene.Spec{})
	for name := range bad {
		switch name {
		case "var/lib/cloud/instances/i-1/user-data":
			name = "var/lib/cloud/instances/i-1"
		case "tmp/dir/x":
			name = "tmp/dir"
		}
		if found["/"+name] == "" {
			t.Errorf("%s: not found", name)
		}
	}
	if len(found) != len(bad) {
		t.Errorf("%d findings for %d files: %v", len(found), len(bad), slices.Sorted(maps.Keys(found)))
	}
	if s := found["/etc/shadow"]; !strings.Contains(s, "user root has a password") || !strings.Contains(s, "user guest needs no password") {
		t.Error(s)
	}
}

func TestPermissions(t *testing.T) {
	tree := t.TempDir()
	files := clean()
	maps.Copy(files, sandboxtest.Files{"etc/open.conf": "x", "usr/bin/su": "x", "usr/local/bin/become": "x", "var/mail/box": "x"})
	files.Write(t, tree)
	for name, mode := range map[string]os.FileMode{
		"etc/open.conf": 0o666, "usr/bin/su": 0o755 | os.ModeSetuid, "usr/local/bin/become": 0o755 | os.ModeSetuid, "var/mail/box": 0o666,
	} {
		if err := os.Chmod(filepath.Join(tree, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	found := find(t, sandboxtest.DiskOf(t, 64<<20, tree), hygiene.Spec{})
	if len(found) != 2 || found["/etc/open.conf"] == "" || found["/usr/local/bin/become"] == "" {
		t.Fatal(found)
	}
}

const secret = "correct horse battery staple"

// blocks returns all blocks of a disk.
func blocks(t *testing.T, disk *os.File) []int64 {
	t.Helper()
	info, err := disk.Stat()
	if err != nil {
		t.Fatal(err)
	}
	var all []int64
	for i := range info.Size() >> 19 {
		all = append(all, i)
	}
	return all
}

func TestSecretInAFile(t *testing.T) {
	files := clean()
	files["etc/app.conf"] = "token: " + secret + "\n"
	d := disk(t, files)
	found := find(t, d, hygiene.Spec{Secrets: []string{"another secret", secret, "short"}, Changed: blocks(t, d)})
	if len(found) != 2 || found["/etc/app.conf"] != "the value of a secret" {
		t.Fatal(found)
	}
	if again := find(t, d, hygiene.Spec{Secrets: []string{secret}}); !maps.Equal(again, found) {
		t.Fatal(again)
	}
	if found := find(t, d, hygiene.Spec{Secrets: []string{secret}, Changed: []int64{}}); len(found) != 0 {
		t.Fatal("what did not change was proven before: ", found)
	}
	if found := find(t, d, hygiene.Spec{}); len(found) != 0 {
		t.Fatal(found)
	}
	for _, text := range found {
		if strings.Contains(text, secret) {
			t.Error("the finding tells the secret")
		}
	}
}

func TestSecretBelowTheFilesystem(t *testing.T) {
	d := disk(t, clean())
	// The gap between two blocks of the disk, in a place that the filesystem does not know to be free.
	at := int64(3<<19 - 5)
	if _, err := d.WriteAt([]byte(secret), at); err != nil {
		t.Fatal(err)
	}
	found := find(t, d, hygiene.Spec{Secrets: []string{secret}, Changed: []int64{2}})
	if found["block 2"] == "" {
		t.Fatal(found)
	}
	if found := find(t, d, hygiene.Spec{Secrets: []string{secret}, Changed: []int64{3}}); found["block 3"] != "" {
		t.Fatal("the secret does not begin there: ", found)
	}
}

func TestDeletedFile(t *testing.T) {
	files := sandboxtest.Busybox(t)
	maps.Copy(files, clean())
	d := disk(t, files)
	sh(t, d, "yes '"+secret+"' | head -100000 > /root/x; sync; rm /root/x")
	if found := find(t, d, hygiene.Spec{}); !strings.Contains(found["free space"], "KiB that deleted files left behind") {
		t.Fatal(found)
	}
	if err := seal.Run(t.Context(), sandbox.Root{Disk: d}, nil); err != nil {
		t.Fatal(err)
	}
	if found := find(t, d, hygiene.Spec{Secrets: []string{secret}, Changed: blocks(t, d)}); len(found) != 0 {
		t.Fatal(found)
	}
}

// TestSealedIsClean has the seal and the gate, which know nothing of each other, agree.
func TestSealedIsClean(t *testing.T) {
	files := sandboxtest.Busybox(t)
	maps.Copy(files, clean())
	for _, size := range []string{"1024", "4096"} {
		t.Run(size, func(t *testing.T) {
			d := sandboxtest.Disk(t, 64<<20, files, "-b", size)
			sh(t, d, `for i in $(seq 500); do head -c $((i*7)) /dev/urandom > /root/$i; done; sync; rm /root/*[02468]
				echo x > /etc/ssh/ssh_host_dsa_key; echo 1 > /etc/machine-id; mkdir -p /var/lib/dhcp; echo x > /var/lib/dhcp/leases`)
			if err := seal.Run(t.Context(), sandbox.Root{Disk: d}, nil); err != nil {
				t.Fatal(err)
			}
			if found := find(t, d, hygiene.Spec{}); len(found) != 0 {
				t.Fatal(found)
			}
		})
	}
}

func TestNothingIsWritten(t *testing.T) {
	d := disk(t, clean())
	before := content(t, d)
	find(t, d, hygiene.Spec{})
	if !bytes.Equal(content(t, d), before) {
		t.Fatal("the disk changed")
	}
}

func content(t *testing.T, d *os.File) []byte {
	t.Helper()
	b := make([]byte, 64<<20)
	if _, err := d.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestManyFindings(t *testing.T) {
	r := &hygiene.RefusedError{}
	for range 60 {
		r.Findings = append(r.Findings, hygiene.Finding{Path: "/x", What: "y", Fix: "z"})
	}
	if s := r.Error(); strings.Count(s, "/x: y: z") != 50 || !strings.HasSuffix(s, "and 10 more") || !strings.HasPrefix(s, "refused: ") {
		t.Error(s)
	}
}

// BenchmarkRun looks at an image with half a gigabyte of data in a disk of 2 GiB, with a secret to look for. A package
// brought the files.
func BenchmarkRun(b *testing.B) {
	tree := b.TempDir()
	var list strings.Builder
	for i := range 20000 {
		name := filepath.Join(tree, "usr/share", "d"+string(rune('a'+i%26)), strings.Repeat("f", i/26%100+1)+string(rune('a'+i/2600)))
		_ = os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, bytes.Repeat([]byte{byte(i)}, 27<<10), 0o644); err != nil {
			b.Fatal(err)
		}
		list.WriteString(strings.TrimPrefix(name, tree) + "\n")
	}
	sandboxtest.Files{"var/lib/dpkg/info/all.list": list.String()}.Write(b, tree)
	d := sandboxtest.DiskOf(b, 2<<30, tree, "-b", "4096")
	for b.Loop() {
		err := hygiene.Run(b.Context(), sandbox.Root{Disk: d}, hygiene.Spec{Secrets: []string{secret}, Changed: []int64{0, 1, 2, 3}}, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
}
