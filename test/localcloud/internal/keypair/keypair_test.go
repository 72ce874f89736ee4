package keypair_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/keypair"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func newCloud(t *testing.T) *ec2test.Cloud {
	t.Helper()
	return ec2test.New(t, func(store *state.Store, svc *wire.Service) { keypair.New(store).Register(svc) })
}

// What EC2 gives out can be used by an SSH client, and the public half is the one of the private half.
func TestCreate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for kind, v := range map[ec2types.KeyType]struct{ begin, fingerprint string }{
		"rsa": {"-----BEGIN RSA PRIVATE KEY-----", `^([0-9a-f]{2}:){19}[0-9a-f]{2}$`}, "ed25519": {"-----BEGIN OPENSSH PRIVATE KEY-----", `^[0-9A-Za-z+/]{43}=$`},
	} {
		name := string(kind)
		out, err := c.Client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: &name, KeyType: kind})
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.ParsePrivateKey([]byte(*out.KeyMaterial))
		if err != nil || !strings.HasPrefix(*out.KeyMaterial, v.begin) || !regexp.MustCompile(v.fingerprint).MatchString(*out.KeyFingerprint) || !strings.HasPrefix(*out.KeyPairId, "key-0") {
			t.Fatalf("%s: got %+v %v", kind, out, err)
		}
		shown, err := c.Client.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{KeyNames: []string{name}, IncludePublicKey: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(*shown.KeyPairs[0].PublicKey))
		if err != nil || comment != name || string(public.Marshal()) != string(signer.PublicKey().Marshal()) || shown.KeyPairs[0].KeyType != kind {
			t.Errorf("%s: got %+v %v", kind, shown.KeyPairs[0], err)
		}
		_, err = c.Client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: &name})
		ec2test.Expect(t, err, "InvalidKeyPair.Duplicate", "")
	}
	_, err := c.Client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("dry"), DryRun: aws.Bool(true)})
	ec2test.Expect(t, err, "DryRunOperation", "")
	_, err = c.Client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String(" blank")})
	ec2test.Expect(t, err, "InvalidParameterValue", "")
}

func TestImport(t *testing.T) {
	t.Parallel()
	const line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER me"
	c := newCloud(t)
	out, err := c.Client.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: aws.String("mine"), PublicKeyMaterial: []byte(line + "\n")})
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(ssh.FingerprintSHA256(public), "SHA256:") + "="; *out.KeyFingerprint != want {
		t.Errorf("got %s, want %s", *out.KeyFingerprint, want)
	}
	// The sum was computed by openssl over what ssh-keygen exported.
	const old = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDLGrAq7YWNN58iBnD8gNHHyCvJMMY/n51ArAEATGFVunvRS48HBHVfaTYabJmNOc2tdY5sMDnLbNXSLc0MbGo+IH7GI+ooBKhrZlTnAz7cklTLxS7HIPV486ErymnASIcu09LdjhLFRGQBs2qtqdpuADYJQ73w/eYBrWMRpmmmNQ== me"
	rsa, err := c.Client.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: aws.String("old"), PublicKeyMaterial: []byte(old)})
	if err != nil || *rsa.KeyFingerprint != "8b:00:34:31:25:40:7e:45:92:24:6e:23:65:3e:4b:fb" {
		t.Errorf("got %+v %v", rsa, err)
	}
	for _, bad := range []string{"", "ssh-rsa x", base64.StdEncoding.EncodeToString([]byte("no key"))} {
		_, err := c.Client.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: aws.String("bad"), PublicKeyMaterial: []byte(bad)})
		ec2test.Expect(t, err, "InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	made, err := c.Client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("k"), KeyType: "ed25519"})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.As(ec2test.Other).DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyPairId: made.KeyPairId}); err != nil || out.KeyPairId != nil {
		t.Errorf("another account's delete: %+v %v", out, err)
	}
	out, err := c.Client.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyPairId: made.KeyPairId})
	if err != nil || !*out.Return || *out.KeyPairId != *made.KeyPairId {
		t.Errorf("got %+v %v", out, err)
	}
	if _, err := c.Client.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyName: aws.String("k")}); err != nil {
		t.Errorf("deleting what is not there is fine: %v", err)
	}
	_, err = c.Client.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{KeyNames: []string{"k"}})
	ec2test.Expect(t, err, "InvalidKeyPair.NotFound", "The key pair 'k' does not exist")
}
