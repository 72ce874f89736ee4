package keypair_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

const ed25519Line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER me"

// add imports a key and returns its id.
func add(t *testing.T, c *ec2test.Cloud, client *ec2.Client, name string, tags ...ec2types.Tag) string {
	t.Helper()
	in := &ec2.ImportKeyPairInput{KeyName: &name, PublicKeyMaterial: []byte(ed25519Line)}
	if len(tags) > 0 {
		in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: "key-pair", Tags: tags}}
	}
	out, err := client.ImportKeyPair(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Tags) != len(tags) {
		t.Errorf("got the tags %+v at %s", out.Tags, c.Clock.Now())
	}
	return *out.KeyPairId
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := add(t, c, c.Client, "a", ec2types.Tag{Key: aws.String("for"), Value: aws.String("test")})
	b := add(t, c, c.Client, "b")
	add(t, c, c.As(ec2test.Other), "a")
	add(t, c, c.In("eu-west-1", ec2test.Account), "c")
	filter := func(name, value string) []ec2types.Filter {
		return []ec2types.Filter{{Name: &name, Values: []string{value}}}
	}
	for name, v := range map[string]struct {
		in            ec2.DescribeKeyPairsInput
		want          string
		code, message string
	}{
		"all, by name":      {ec2.DescribeKeyPairsInput{}, "a b", "", ""},
		"name":              {ec2.DescribeKeyPairsInput{KeyNames: []string{"b"}}, "b", "", ""},
		"id":                {ec2.DescribeKeyPairsInput{KeyPairIds: []string{a}}, "a", "", ""},
		"both":              {ec2.DescribeKeyPairsInput{KeyNames: []string{"b", "a"}, KeyPairIds: []string{a}}, "a b", "", ""},
		"id as name":        {ec2.DescribeKeyPairsInput{KeyNames: []string{a}}, "", "InvalidKeyPair.NotFound", "The key pair '" + a + "' does not exist"},
		"name as id":        {ec2.DescribeKeyPairsInput{KeyPairIds: []string{"a"}}, "", "InvalidKeyPair.NotFound", "The key pair 'a' does not exist"},
		"another region's":  {ec2.DescribeKeyPairsInput{KeyNames: []string{"a", "c"}}, "", "InvalidKeyPair.NotFound", "The key pair 'c' does not exist"},
		"key-name":          {ec2.DescribeKeyPairsInput{Filters: filter("key-name", "?")}, "a b", "", ""},
		"key-pair-id":       {ec2.DescribeKeyPairsInput{Filters: filter("key-pair-id", b)}, "b", "", ""},
		"fingerprint":       {ec2.DescribeKeyPairsInput{Filters: filter("fingerprint", "none")}, "", "", ""},
		"key-type":          {ec2.DescribeKeyPairsInput{Filters: filter("key-type", "ed25519")}, "a b", "", ""},
		"tag":               {ec2.DescribeKeyPairsInput{Filters: filter("tag:for", "test")}, "a", "", ""},
		"name and filter":   {ec2.DescribeKeyPairsInput{KeyNames: []string{"a", "b"}, Filters: filter("tag-key", "for")}, "a", "", ""},
		"filter that fails": {ec2.DescribeKeyPairsInput{Filters: filter("garbage", "x")}, "", "InvalidParameterValue", "The filter 'garbage' is invalid"},
		"dry run":           {ec2.DescribeKeyPairsInput{KeyNames: []string{"a"}, DryRun: aws.Bool(true)}, "", "DryRunOperation", ""},
	} {
		out, err := c.Client.DescribeKeyPairs(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
		var names []string
		for i := 0; err == nil && i < len(out.KeyPairs); i++ {
			names = append(names, *out.KeyPairs[i].KeyName)
		}
		if got := strings.Join(names, " "); got != v.want {
			t.Errorf("%s: got %q, want %q", name, got, v.want)
		}
	}
}

// What is shown of a key pair; the public key only where it is asked for, and never the private one.
func TestShown(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	add(t, c, c.Client, "k")
	for _, with := range []bool{false, true} {
		out, err := c.Client.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{IncludePublicKey: &with})
		if err != nil {
			t.Fatal(err)
		}
		k := out.KeyPairs[0]
		if !k.CreateTime.Equal(c.Clock.Now().Truncate(time.Millisecond)) || k.KeyType != "ed25519" || k.Tags == nil || (k.PublicKey != nil) != with {
			t.Errorf("got %+v", k)
		}
		if with && *k.PublicKey != strings.TrimSuffix(ed25519Line, "me")+"k" {
			t.Errorf("the comment is the name of the pair: %s", *k.PublicKey)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	add(t, c, c.Client, "taken")
	for name, v := range map[string]struct {
		in            ec2.CreateKeyPairInput
		code, message string
	}{
		"no name":   {ec2.CreateKeyPairInput{KeyName: aws.String("")}, "MissingParameter", "The request must contain the parameter KeyName"},
		"long":      {ec2.CreateKeyPairInput{KeyName: aws.String(strings.Repeat("x", 256))}, "InvalidParameterValue", ""},
		"trailing":  {ec2.CreateKeyPairInput{KeyName: aws.String("x ")}, "InvalidParameterValue", ""},
		"umlaut":    {ec2.CreateKeyPairInput{KeyName: aws.String("schlüssel")}, "InvalidParameterValue", ""},
		"taken":     {ec2.CreateKeyPairInput{KeyName: aws.String("taken"), DryRun: aws.Bool(true)}, "InvalidKeyPair.Duplicate", "The keypair already exists"},
		"type":      {ec2.CreateKeyPairInput{KeyName: aws.String("k"), KeyType: "dsa"}, "InvalidParameterValue", "Value (dsa) for parameter keyType is invalid."},
		"format":    {ec2.CreateKeyPairInput{KeyName: aws.String("k"), KeyFormat: "der"}, "InvalidParameterValue", "Value (der) for parameter keyFormat is invalid."},
		"ppk":       {ec2.CreateKeyPairInput{KeyName: aws.String("k"), KeyFormat: "ppk"}, "UnsupportedOperation", ""},
		"tag":       {ec2.CreateKeyPairInput{KeyName: aws.String("k"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "instance"}}}, "InvalidParameterValue", "'instance' is not a valid taggable resource type for this operation."},
		"aws's tag": {ec2.CreateKeyPairInput{KeyName: aws.String("k"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "key-pair", Tags: []ec2types.Tag{{Key: aws.String("aws:x")}}}}}, "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"},
	} {
		_, err := c.Client.CreateKeyPair(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
	out, err := c.Client.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{})
	if err != nil || len(out.KeyPairs) != 1 {
		t.Errorf("refused requests left keys: %+v %v", out, err)
	}
}

// ECDSA and RSA keys of odd lengths are refused, as by EC2; the DER form is taken.
func TestImportKinds(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for name, v := range map[string]struct{ key, code string }{
		"ecdsa":    {"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=", "InvalidKey.Format"},
		"der":      {"MCowBQYDK2VwAyEAEREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREREQ==", "InvalidKey.Format"},
		"der good": {"MCowBQYDK2VwAyEAERERERERERERERERERERERERERERERERERERERERERE=", ""},
	} {
		out, err := c.Client.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: &name, PublicKeyMaterial: []byte(v.key)})
		if f := ec2test.FailureOf(err); f.Code != v.code {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
		if err == nil && (out.KeyFingerprint == nil || *out.KeyName != name) {
			t.Errorf("%s: got %+v", name, out)
		}
	}
	_, err := c.Client.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: aws.String("k"), PublicKeyMaterial: []byte(ed25519Line), DryRun: aws.Bool(true)})
	ec2test.Expect(t, err, "DryRunOperation", "")
}

func TestDeleteByNameOrID(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := add(t, c, c.Client, "k")
	for _, v := range []struct {
		in   ec2.DeleteKeyPairInput
		code string
		gone bool
	}{
		{ec2.DeleteKeyPairInput{}, "MissingParameter", false},
		{ec2.DeleteKeyPairInput{KeyName: aws.String("k"), DryRun: aws.Bool(true)}, "DryRunOperation", false},
		{ec2.DeleteKeyPairInput{KeyName: &id}, "", false},
		{ec2.DeleteKeyPairInput{KeyPairId: aws.String("k")}, "", false},
		{ec2.DeleteKeyPairInput{KeyPairId: &id}, "", true},
		{ec2.DeleteKeyPairInput{KeyPairId: &id}, "", false},
	} {
		out, err := c.Client.DeleteKeyPair(t.Context(), &v.in)
		ec2test.Expect(t, err, v.code, "")
		if err == nil && (!*out.Return || (out.KeyPairId != nil) != v.gone) {
			t.Errorf("%+v: got %+v", v.in, out)
		}
	}
	add(t, c, c.Client, "k") // the name is free again
}

// The slow making of keys happens outside of the lock: of those who ask for a name at the same time one gets it.
func TestCreateAtTheSameTime(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	codes := make([]string, 8)
	var work sync.WaitGroup
	for i := range codes {
		work.Go(func() {
			_, err := c.Client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("k"), KeyType: "ed25519"})
			codes[i] = ec2test.FailureOf(err).Code
		})
	}
	work.Wait()
	slices.Sort(codes)
	if codes[0] != "" || slices.ContainsFunc(codes[1:], func(code string) bool { return code != "InvalidKeyPair.Duplicate" }) {
		t.Errorf("got %q", codes)
	}
}
