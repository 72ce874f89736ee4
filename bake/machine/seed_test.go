package machine_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/kdomanski/iso9660"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake/machine"
)

// What is written by hand is read by somebody else's library.
func TestISO(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z][a-z0-9-]{0,15}(\.[a-z]{1,4})?`)
		content := rapid.SliceOfN(rapid.Byte(), 0, 5000)
		files := rapid.MapOfN(name, content, 0, 6).Draw(t, "files")
		var disk bytes.Buffer
		if err := machine.ISO(&disk, "cidata", files); err != nil {
			t.Fatal(err)
		}
		got := readISO(t, disk.Bytes())
		if len(got) != len(files) {
			t.Fatalf("%d files, want %d", len(got), len(files))
		}
		for name, body := range files {
			if !bytes.Equal(got[name], body) {
				t.Fatalf("%s: got %q, want %q", name, got[name], body)
			}
		}
	})
}

func readISO(t *rapid.T, disk []byte) map[string][]byte {
	t.Helper()
	image, err := iso9660.OpenImage(bytes.NewReader(disk))
	if err != nil {
		t.Fatal(err)
	}
	if label, err := image.Label(); err != nil || strings.TrimSpace(label) != "cidata" {
		t.Fatalf("label %q, %v", label, err)
	}
	root, err := image.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	children, err := root.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range children {
		body, err := io.ReadAll(f.Reader())
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(f.Name(), ";1")] = body
	}
	return files
}

// blkid is what cloud-init asks for the seed.
func TestISOIsRecognised(t *testing.T) {
	var disk bytes.Buffer
	if err := machine.ISO(&disk, "cidata", map[string][]byte{"meta-data": []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "blkid", "-o", "export", write(t, disk.Bytes())).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\nLABEL=cidata\n") || !strings.Contains(string(out), "TYPE=iso9660") {
		t.Errorf("blkid: %v: %s", err, out)
	}
}

func TestISORefuses(t *testing.T) {
	many := map[string][]byte{}
	for i := range 60 {
		many[strings.Repeat("x", 20)+string(rune('a'+i%26))+string(rune('a'+i/26))] = nil
	}
	for name, files := range map[string]map[string][]byte{
		"long name": {strings.Repeat("x", 31): nil}, "folder": {"a/b": nil}, "version": {"a;1": nil}, "many": many,
	} {
		if err := machine.ISO(io.Discard, "cidata", files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUserData(t *testing.T) {
	text, host, err := machine.UserData("tester")
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := bytes.Cut(text, []byte("\n"))
	if string(head) != "#cloud-config" {
		t.Errorf("first line: %s", head)
	}
	var data struct {
		Users []struct {
			Name           string   `json:"name"`
			LockPassword   bool     `json:"lock_passwd"`
			AuthorizedKeys []string `json:"ssh_authorized_keys"`
		} `json:"users"`
		Keys map[string]string `json:"ssh_keys"`
	}
	if err := json.Unmarshal(body, &data); err != nil {
		t.Fatal(err)
	}
	if u := data.Users[0]; u.Name != "tester" || !u.LockPassword || len(u.AuthorizedKeys) != 1 {
		t.Errorf("user: %+v", u)
	}
	signer, err := ssh.ParsePrivateKey([]byte(data.Keys["ed25519_private"]))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(signer.PublicKey().Marshal(), host.Marshal()) {
		t.Error("the private host key is not that of the machine")
	}
	if public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(data.Keys["ed25519_public"])); err != nil || !bytes.Equal(public.Marshal(), host.Marshal()) {
		t.Errorf("the public host key is not that of the machine, %v", err)
	}
}
