package keypair

import (
	"crypto"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // EC2's fingerprint of an imported key
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // EC2's fingerprint of a key that it made
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// key is a key pair before it is recorded.
type key struct {
	kind        ec2types.KeyType
	public      string // as in authorized_keys
	private     string // PEM; empty for one that was imported
	fingerprint string
}

const rsaBits = 2048 // of the keys that EC2 makes [documented]

// generate makes a new key.
func generate(kind ec2types.KeyType, name string) (*key, error) {
	if kind == ec2types.KeyTypeEd25519 {
		return generateEd25519(name)
	}
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("make RSA key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("make RSA key: %w", err)
	}
	public, err := authorized(&private.PublicKey, name)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(der) //nolint:gosec // as EC2 does it
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	return &key{kind: ec2types.KeyTypeRsa, public: public, private: strings.TrimSuffix(string(pem.EncodeToMemory(block)), "\n"), fingerprint: colons(sum[:])}, nil
}

func generateEd25519(name string) (*key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ED25519 key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(crypto.PrivateKey(private), "")
	if err != nil {
		return nil, fmt.Errorf("make ED25519 key: %w", err)
	}
	k, err := fromSSH(public, name)
	if err != nil {
		return nil, err
	}
	k.private = string(pem.EncodeToMemory(block))
	return k, nil
}

// parse reads a public key: one of OpenSSH's, or base64 of the DER form.
func parse(text []byte, name string) (*key, error) {
	bad := wire.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		der, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return nil, bad
		}
		parsed, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			return nil, bad
		}
		return fromSSH(parsed, name)
	}
	c, ok := public.(ssh.CryptoPublicKey)
	if !ok {
		return nil, bad
	}
	return fromSSH(c.CryptoPublicKey(), name)
}

// fromSSH returns a public key with the fingerprint that EC2 computes where it does not know the private key, which for ED25519 is the same as
// where it does.
func fromSSH(public crypto.PublicKey, name string) (*key, error) {
	line, err := authorized(public, name)
	if err != nil {
		return nil, err
	}
	k := &key{public: line}
	switch public := public.(type) {
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n != 1024 && n != 2048 && n != 4096 {
			return nil, wire.Errorf("InvalidKey.Format", "RSA keys must have 1024, 2048 or 4096 bits, this one has %d", n)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, wire.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
		}
		sum := md5.Sum(der) //nolint:gosec // as EC2 does it
		k.kind, k.fingerprint = ec2types.KeyTypeRsa, colons(sum[:])
	case ed25519.PublicKey:
		wired, err := ssh.NewPublicKey(public)
		if err != nil {
			return nil, fmt.Errorf("read ED25519 key: %w", err)
		}
		sum := sha256.Sum256(wired.Marshal())
		k.kind, k.fingerprint = ec2types.KeyTypeEd25519, base64.StdEncoding.EncodeToString(sum[:])
	default:
		return nil, wire.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	return k, nil
}

// authorized writes a key as a line of authorized_keys, with the name of the pair as the comment.
func authorized(public crypto.PublicKey, name string) (string, error) {
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", wire.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) + " " + name, nil
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02x", b)
	}
	return strings.Join(parts, ":")
}
