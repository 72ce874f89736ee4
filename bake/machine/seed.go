package machine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake/disk"
)

// login holds the two ephemeral keys of a machine: ours, which its user accepts, and its own, by which we know it. They
// live in memory, in the unnamed seed disk and in the throwaway guest.
type login struct {
	user ssh.Signer
	host ed25519.PrivateKey
	id   string // cloud-init's instance ID: a new machine is a new instance
}

func newLogin() (login, error) {
	_, user, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return login{}, err
	}
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return login{}, err
	}
	signer, err := ssh.NewSignerFromKey(user)
	return login{user: signer, host: host, id: "iibake-" + rand.Text()}, err
}

// userData is the part of cloud-init's cloud-config that we use. JSON is YAML.
type userData struct {
	Users         []cloudUser       `json:"users"`
	DisableRoot   bool              `json:"disable_root"`
	PasswordLogin bool              `json:"ssh_pwauth"`
	HostKeys      map[string]string `json:"ssh_keys"`         // keeps cloud-init from generating others
	EtcHosts      string            `json:"manage_etc_hosts"` // sudo wants to resolve the host's name, and asks the network else
}

type cloudUser struct {
	Name           string   `json:"name"`
	LockPassword   bool     `json:"lock_passwd"`
	Shell          string   `json:"shell"`
	Sudo           string   `json:"sudo"`
	AuthorizedKeys []string `json:"ssh_authorized_keys"`
}

func (l login) userData(user string) ([]byte, error) {
	block, err := ssh.MarshalPrivateKey(l.host, "")
	if err != nil {
		return nil, err
	}
	public, err := ssh.NewPublicKey(l.host.Public())
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(userData{
		Users: []cloudUser{{
			Name: user, LockPassword: true, Shell: "/bin/sh", Sudo: "ALL=(ALL) NOPASSWD:ALL",
			AuthorizedKeys: []string{authorizedKey(l.user.PublicKey())},
		}},
		DisableRoot: true,
		EtcHosts:    "localhost",
		HostKeys: map[string]string{
			"ed25519_private": string(pem.EncodeToMemory(block)),
			"ed25519_public":  authorizedKey(public),
		},
	})
	return append([]byte("#cloud-config\n"), b...), err
}

func authorizedKey(k ssh.PublicKey) string {
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(k)))
}

// newSeed returns the disk that cloud-init's NoCloud data source reads at boot.
func newSeed(s Spec, l login) (_ *os.File, err error) {
	user, err := l.userData(s.User)
	if err != nil {
		return nil, err
	}
	meta, err := json.Marshal(map[string]string{"instance-id": l.id, "local-hostname": s.Name})
	if err != nil {
		return nil, err
	}
	content := []isoFile{memoryFile("meta-data", meta), memoryFile("user-data", user)}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		f, err := os.Open(s.Files[name])
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		content = append(content, isoFile{name: name, size: info.Size(), data: f})
	}
	out, err := disk.Scratch(s.Scratch)
	if err != nil {
		return nil, err
	}
	if err := writeISO(out, "cidata", content); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return readOnly(out)
}

func memoryFile(name string, b []byte) isoFile {
	return isoFile{name: name, size: int64(len(b)), data: bytes.NewReader(b)}
}

// isoFile is a file to be put on an ISO 9660 disk.
type isoFile struct {
	name string
	size int64
	data io.Reader
}

func (f isoFile) copyTo(w io.Writer) error {
	n, err := io.Copy(w, io.LimitReader(f.data, f.size))
	if err == nil && n < f.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}
