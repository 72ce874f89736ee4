package image

import (
	"context"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// awsKey is the alias of the key that encrypts where nobody names another.
const awsKey = "alias/aws/ebs"

func settings(r *state.Region, account string) state.Settings {
	if s := r.Settings.Get(account); s != nil {
		return *s
	}
	return state.Settings{}
}

// configure changes the settings of the caller's account.
func (s *Service) configure(c *wire.Call, dry *bool, f func(*state.Settings)) error {
	return s.store.Update(c.Region, func(r *state.Region) error {
		if err := dryRun(dry); err != nil {
			return err
		}
		changed := settings(r, c.Account)
		f(&changed)
		r.Settings.Put(c.Account, &changed)
		return nil
	})
}

// configured returns the settings of the caller's account.
func (s *Service) configured(c *wire.Call, dry *bool) (found state.Settings, err error) {
	err = s.store.View(c.Region, func(r *state.Region) error {
		found = settings(r, c.Account)
		return dryRun(dry)
	})
	return found, err
}

func (s *Service) getEncryption(_ context.Context, c *wire.Call, in *ec2.GetEbsEncryptionByDefaultInput) (*ec2.GetEbsEncryptionByDefaultOutput, error) {
	found, err := s.configured(c, in.DryRun)
	return &ec2.GetEbsEncryptionByDefaultOutput{EbsEncryptionByDefault: &found.EncryptVolumes}, err
}

func (s *Service) enableEncryption(_ context.Context, c *wire.Call, in *ec2.EnableEbsEncryptionByDefaultInput) (*ec2.EnableEbsEncryptionByDefaultOutput, error) {
	err := s.configure(c, in.DryRun, func(changed *state.Settings) { changed.EncryptVolumes = true })
	return &ec2.EnableEbsEncryptionByDefaultOutput{EbsEncryptionByDefault: aws.Bool(true)}, err
}

func (s *Service) disableEncryption(_ context.Context, c *wire.Call, in *ec2.DisableEbsEncryptionByDefaultInput) (*ec2.DisableEbsEncryptionByDefaultOutput, error) {
	err := s.configure(c, in.DryRun, func(changed *state.Settings) { changed.EncryptVolumes = false })
	return &ec2.DisableEbsEncryptionByDefaultOutput{EbsEncryptionByDefault: aws.Bool(false)}, err
}

func (s *Service) getKey(_ context.Context, c *wire.Call, in *ec2.GetEbsDefaultKmsKeyIdInput) (*ec2.GetEbsDefaultKmsKeyIdOutput, error) {
	found, err := s.configured(c, in.DryRun)
	if found.VolumeKey == "" {
		found.VolumeKey = awsKey
	}
	return &ec2.GetEbsDefaultKmsKeyIdOutput{KmsKeyId: &found.VolumeKey}, err
}

func (s *Service) modifyKey(_ context.Context, c *wire.Call, in *ec2.ModifyEbsDefaultKmsKeyIdInput) (*ec2.ModifyEbsDefaultKmsKeyIdOutput, error) {
	key, err := keyARN(c, *in.KmsKeyId)
	if err != nil {
		return nil, err
	}
	if key == awsKey {
		key = ""
	}
	err = s.configure(c, in.DryRun, func(changed *state.Settings) { changed.VolumeKey = key })
	return &ec2.ModifyEbsDefaultKmsKeyIdOutput{KmsKeyId: in.KmsKeyId}, err
}

func (s *Service) resetKey(_ context.Context, c *wire.Call, in *ec2.ResetEbsDefaultKmsKeyIdInput) (*ec2.ResetEbsDefaultKmsKeyIdOutput, error) {
	err := s.configure(c, in.DryRun, func(changed *state.Settings) { changed.VolumeKey = "" })
	return &ec2.ResetEbsDefaultKmsKeyIdOutput{KmsKeyId: aws.String(awsKey)}, err
}

// keyARN returns the ARN that a KMS key is recorded under, or awsKey. This cloud has no KMS: any key exists, and no alias but AWS's own does.
func keyARN(c *wire.Call, key string) (string, error) {
	switch {
	case key == awsKey:
		return awsKey, nil
	case regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$`).MatchString(key):
		return key, nil
	case regexp.MustCompile(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`).MatchString(key):
		return "arn:aws:kms:" + c.Region + ":" + c.Account + ":key/" + key, nil
	}
	return "", wire.Errorf("InvalidParameterValue", "The specified keyId %s is invalid", key)
}

// copyKey returns the key that a copy is encrypted with, or none. An encrypted source stays encrypted, whatever is asked for, with the
// account's own key.
func copyKey(r *state.Region, c *wire.Call, sourceEncrypted bool, asked *bool, key *string) (string, error) {
	if key != nil && !aws.ToBool(asked) && !sourceEncrypted { // documented; the text is inferred
		return "", wire.Errorf("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if key != nil {
		arn, err := keyARN(c, *key)
		if err != nil || arn != awsKey {
			return arn, err
		}
	}
	if key != nil || sourceEncrypted || aws.ToBool(asked) || settings(r, c.Account).EncryptVolumes {
		return ebs.VolumeKey(r, c.Account), nil
	}
	return "", nil
}
