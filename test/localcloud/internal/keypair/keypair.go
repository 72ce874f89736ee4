// Package keypair is the key pairs of EC2.
package keypair

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Service answers for key pairs.
type Service struct{ store *state.Store }

// New returns the service.
func New(store *state.Store) *Service { return &Service{store: store} }

// Register adds the operations to EC2's.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.create)
	wire.Handle(svc, s.importKey)
	wire.Handle(svc, s.describe)
	wire.Handle(svc, s.delete)
}

const maxName = 255 // ASCII characters [documented]

func checkName(name string) error {
	if name == "" {
		return wire.Errorf("MissingParameter", "The request must contain the parameter KeyName")
	}
	if len(name) > maxName || strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter keyName is invalid. Key names are up to %d ASCII characters, without leading or trailing spaces.", name, maxName)
	}
	return nil
}

func (s *Service) create(_ context.Context, c *wire.Call, in *ec2.CreateKeyPairInput) (*ec2.CreateKeyPairOutput, error) {
	name := aws.ToString(in.KeyName)
	if err := s.free(c, name, in.TagSpecifications, in.DryRun); err != nil {
		return nil, err
	}
	if in.KeyType != "" && !slices.Contains(in.KeyType.Values(), in.KeyType) {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter keyType is invalid.", in.KeyType)
	}
	if in.KeyFormat != "" && !slices.Contains(in.KeyFormat.Values(), in.KeyFormat) {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter keyFormat is invalid.", in.KeyFormat)
	}
	if in.KeyFormat == ec2types.KeyFormatPpk {
		return nil, wire.Errorf("UnsupportedOperation", "Keys in the format of PuTTY are not supported here: ask for pem and convert it.")
	}
	k, err := generate(in.KeyType, name) // takes its time, and so is made without the region's lock
	if err != nil {
		return nil, err
	}
	row, err := s.add(c, name, k, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	return &ec2.CreateKeyPairOutput{
		KeyFingerprint: row.KeyFingerprint, KeyMaterial: &k.private, KeyName: row.KeyName, KeyPairId: row.KeyPairId, Tags: row.Tags,
	}, nil
}

func (s *Service) importKey(_ context.Context, c *wire.Call, in *ec2.ImportKeyPairInput) (*ec2.ImportKeyPairOutput, error) {
	name := aws.ToString(in.KeyName)
	if err := s.free(c, name, in.TagSpecifications, in.DryRun); err != nil {
		return nil, err
	}
	k, err := parse(bytes.TrimSpace(in.PublicKeyMaterial), name)
	if err != nil {
		return nil, err
	}
	row, err := s.add(c, name, k, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	return &ec2.ImportKeyPairOutput{KeyFingerprint: row.KeyFingerprint, KeyName: row.KeyName, KeyPairId: row.KeyPairId, Tags: row.Tags}, nil
}

// free checks what can be said about a new key pair before there is a key.
func (s *Service) free(c *wire.Call, name string, specs []ec2types.TagSpecification, dryRun *bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := kit.CheckTagSpecs(specs, ec2types.ResourceTypeKeyPair); err != nil {
		return err
	}
	return s.store.View(c.Region, func(r *state.Region) error {
		if r.KeyPairs.Get(state.Key(c.Account, name)) != nil {
			return duplicate()
		}
		if aws.ToBool(dryRun) {
			return wire.ErrDryRun()
		}
		return nil
	})
}

func duplicate() error { return wire.Errorf("InvalidKeyPair.Duplicate", "The keypair already exists") }

func (s *Service) add(c *wire.Call, name string, k *key, specs []ec2types.TagSpecification) (*state.KeyPair, error) {
	id := kit.ID("key")
	row := &state.KeyPair{Account: c.Account, PublicKey: k.public, KeyPairInfo: ec2types.KeyPairInfo{
		CreateTime: aws.Time(c.Time.UTC().Truncate(time.Millisecond)), KeyFingerprint: &k.fingerprint, KeyName: &name, KeyPairId: &id, KeyType: k.kind,
		Tags: kit.TagsFor(specs, ec2types.ResourceTypeKeyPair),
	}}
	return row, s.store.Update(c.Region, func(r *state.Region) error {
		if r.KeyPairs.Get(state.Key(c.Account, name)) != nil {
			return duplicate()
		}
		r.KeyPairs.Put(state.Key(c.Account, name), row)
		return nil
	})
}

func (s *Service) describe(_ context.Context, c *wire.Call, in *ec2.DescribeKeyPairsInput) (*ec2.DescribeKeyPairsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeKeyPairsOutput{KeyPairs: []ec2types.KeyPairInfo{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		wanted := slices.Clone(in.KeyNames)
		for _, id := range in.KeyPairIds {
			name, err := nameOf(r, c.Account, id)
			if err != nil {
				return err
			}
			wanted = append(wanted, name)
		}
		found, _, err := listing.Run(listing.Query[*state.KeyPair]{
			IDs: wanted, Filters: in.Filters, Attr: attribute, None: &state.KeyPair{},
			Get: func(id string) (*state.KeyPair, error) { return named(r, c.Account, id) },
			All: func(yield func(*state.KeyPair) bool) {
				for _, k := range r.KeyPairs.All() {
					if k.Account == c.Account && !yield(k) {
						return
					}
				}
			},
			Key: func(k *state.KeyPair) string { return aws.ToString(k.KeyName) },
		})
		for _, k := range found {
			shown := k.KeyPairInfo
			if shown.Tags == nil {
				shown.Tags = []ec2types.Tag{}
			}
			if aws.ToBool(in.IncludePublicKey) {
				shown.PublicKey = &k.PublicKey
			}
			out.KeyPairs = append(out.KeyPairs, shown)
		}
		return err
	})
}

// named returns a key pair by its name.
func named(r *state.Region, account, name string) (*state.KeyPair, error) {
	if k := r.KeyPairs.Get(state.Key(account, name)); k != nil {
		return k, nil
	}
	return nil, wire.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

// nameOf returns the name of a key pair by its id.
func nameOf(r *state.Region, account, id string) (string, error) {
	for _, k := range r.KeyPairs.All() {
		if k.Account == account && aws.ToString(k.KeyPairId) == id {
			return aws.ToString(k.KeyName), nil
		}
	}
	return "", wire.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", id)
}

func attribute(k *state.KeyPair, name string) ([]string, bool) {
	switch name {
	case "key-name":
		return listing.Values(k.KeyName), true
	case "key-pair-id":
		return listing.Values(k.KeyPairId), true
	case "fingerprint":
		return listing.Values(k.KeyFingerprint), true
	case "key-type":
		return []string{string(k.KeyType)}, true
	}
	return kit.TagFilter(k.Tags, name)
}

// delete deletes a key pair; it is fine if there is none.
func (s *Service) delete(_ context.Context, c *wire.Call, in *ec2.DeleteKeyPairInput) (*ec2.DeleteKeyPairOutput, error) {
	name, id := aws.ToString(in.KeyName), aws.ToString(in.KeyPairId)
	if name == "" && id == "" {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
	}
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DeleteKeyPairOutput{Return: aws.Bool(true)}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		if name == "" {
			name, _ = nameOf(r, c.Account, id)
		}
		if k, err := named(r, c.Account, name); err == nil {
			out.KeyPairId = k.KeyPairId
			r.KeyPairs.Delete(state.Key(c.Account, aws.ToString(k.KeyName)))
		}
		return nil
	})
}
