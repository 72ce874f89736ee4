package machines_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines"
)

// debian bakes the image of the example project with the program, and returns its store and disk.
func debian(t *testing.T) (*disk.Store, bake.Digest) {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "iibake")
	run := func(name string, args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, args, err, stderr.Bytes())
		}
		return out
	}
	where, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	run("go", "build", "-C", where, "-o", bin, "github.com/iibake/iibake/cmd/iibake")
	dir = filepath.Join(dir, "project")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	run("git", "init", "-q")
	run(bin, "init")
	run("git", "add", ".")
	run("git", "commit", "-qm", "Start")
	var baked struct {
		Images []struct {
			Disk bake.Digest `json:"disk"`
		} `json:"images"`
	}
	if out := run(bin, "build", "base", "--skip-test", "--output", "json"); json.Unmarshal(out, &baked) != nil || len(baked.Images) != 1 {
		t.Fatalf("%s", out)
	}
	s, err := disk.Open(filepath.Join(dir, ".iibake", "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, baked.Images[0].Disk
}

// login returns a key pair as EC2 keeps it.
func login(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " mine\n"
}

// shell runs a command in an instance by SSH, as soon as it lets the user in.
func shell(t *testing.T, address string, key ssh.Signer, command string) string {
	t.Helper()
	config := &ssh.ClientConfig{User: "debian", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	var client *ssh.Client
	until(t, "SSH lets the user in", func() bool {
		var err error
		client, err = ssh.Dial("tcp", net.JoinHostPort(address, "22"), config)
		return err == nil
	})
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.CombinedOutput(command)
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// TestDebian runs the life of an instance with an unmodified image: the only test here that boots a system.
func TestDebian(t *testing.T) {
	if testing.Short() {
		t.Skip("bootstraps Debian and boots it")
	}
	blocks, image := debian(t)
	key, public := login(t)
	d, seen := driver(t, machines.Config{Blocks: blocks})
	const id = "i-0123456789abcdef0"
	s := compute.Spec{
		Region: "eu-west-1", Account: "111122223333", ID: id, Zone: "eu-west-1a", ZoneID: "euw1-az1", Type: "t3.micro", CPUs: 2, Memory: bake.GiB,
		Arch: bake.AMD64, Firmware: bake.BIOS, Ports: []compute.Port{{From: 22, To: 22}, {From: 80, To: 80}}, Tags: map[string]string{"Name": "web"},
		Disks: []compute.Disk{
			{Device: "/dev/xvda", Volume: "vol-0123456789abcdef0", Disk: image, Size: 4 * bake.GiB},
			{Device: "/dev/sdb", Volume: "vol-0123456789abcdef1", Size: bake.GiB},
		},
		Metadata: compute.Metadata{
			Enabled: true, TokensRequired: true, Tags: true, HopLimit: 1, ImageID: "ami-0123456789abcdef0", Hostname: "ip-172-31-0-1.eu-west-1.compute.internal",
			UserData: []byte("#!/bin/sh\necho hello from user data > /run/userdata\n"), KeyName: "mine", PublicKey: public, MAC: "0a:00:00:00:00:01",
		},
	}
	began := time.Now()
	d.Start(s)
	address := seen.running(t, id).Public
	t.Logf("running after %s at %s", time.Since(began), address)
	seen.healthy(t, id, true)
	t.Logf("healthy after %s", time.Since(began))
	out := shell(t, address, key, `cloud-init status --wait >/dev/null; cat /run/userdata; cloud-id; hostname; lsblk -dno NAME,SERIAL,SIZE; df --output=size -BG / | tail -1
		cat /sys/class/dmi/id/bios_vendor /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name; systemd-analyze; echo kept | sudo tee /srv/kept; sync
		sudo systemd-run --unit=web python3 -m http.server 80 --directory /srv`)
	t.Logf("cloud-init done after %s: %s", time.Since(began), out)
	for _, want := range []string{
		"hello from user data\n", "\naws\n", "\nip-172-31-0-1\n", "nvme0n1 vol0123456789abcdef0   4G\n", "nvme1n1 vol0123456789abcdef1   1G\n", "4G\n", "Amazon EC2\nAmazon EC2\nt3.micro\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	kept := compute.Check{Protocol: "HTTP", Port: 80, Path: "/kept", Timeout: time.Minute}
	until(t, "the web server is up", func() bool { ok, _ := ask(d, id, kept); return ok })
	probe(t, d, id, compute.Check{Protocol: "HTTP", Port: 80, Path: "/lost", Timeout: time.Minute}, false, "Health checks failed with these codes: [404]")
	probe(t, d, id, compute.Check{Protocol: "TCP", Port: 81, Timeout: time.Minute}, false, "Health checks failed")
	if !bytes.Contains(d.Console(id), []byte("login:")) {
		t.Errorf("the console shows %q", d.Console(id))
	}
	first, err := d.Snapshot(t.Context(), id, "/dev/xvda") // while it runs
	if err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	d.Stop(id, false)
	if e := seen.ended(t, id); e.Code != "" {
		t.Errorf("stopped by %+v", e)
	}
	t.Logf("stopped after %s", time.Since(stopped))
	snapped := time.Now()
	second, err := d.Snapshot(t.Context(), id, "/dev/xvda")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("snapshot after %s", time.Since(snapped))
	few(t, blocks, image, first, second)

	s.Addresses = compute.Addresses{Private: address, Public: address}
	d.Start(s) // with what it had
	if again := seen.running(t, id).Public; again != address {
		t.Errorf("it moved from %s to %s", address, again)
	}
	if got := shell(t, address, key, "cat /srv/kept; sudo -n poweroff 2>/dev/null >/dev/null </dev/null &"); got != "kept\n" {
		t.Errorf("the disk has %q", got)
	}
	if e := seen.ended(t, id); e.Code != "" {
		t.Errorf("powered off by %+v", e)
	}
	d.Terminate(id)
	seen.ended(t, id)
}

// few checks that snapshots hold little more than their image, and all of it.
func few(t *testing.T, s *disk.Store, image bake.Digest, snapshots ...bake.Digest) {
	t.Helper()
	base, err := s.Manifest(context.WithoutCancel(t.Context()), image)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range snapshots {
		m, err := s.Manifest(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		changed := len(disk.Diff(base, m))
		t.Logf("%d blocks of %d were changed", changed, len(m.Blocks))
		if m.Size != int64(4*bake.GiB) || changed == 0 || changed > 1000 || len(m.Blocks) < len(base.Blocks) {
			t.Errorf("%d bytes, %d blocks changed of %d to %d", m.Size, changed, len(base.Blocks), len(m.Blocks))
		}
	}
}
