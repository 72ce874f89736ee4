package template

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) create(_ context.Context, c *wire.Call, in *ec2.CreateLaunchTemplateInput) (*ec2.CreateLaunchTemplateOutput, error) {
	if err := checkName(aws.ToString(in.LaunchTemplateName)); err != nil {
		return nil, err
	}
	if aws.ToBool(in.DryRun) { // before the data and the name are looked at
		return nil, wire.ErrDryRun()
	}
	out := &ec2.CreateLaunchTemplateOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		id, replayed, err := kit.Once(r, c, in.ClientToken, in, wire.Errorf("IdempotentParameterMismatch", "Client token already used before."),
			func() (string, error) { return s.add(r, c, in) })
		if err != nil {
			return err
		}
		t := r.LaunchTemplates.Get(id)
		if replayed && (t == nil || t.Counter > 1) { // an answer that is not true any more is not given again
			return wire.Errorf("IdempotentParameterMismatch", "Client token already used before.")
		}
		shown := t.LaunchTemplate
		out.LaunchTemplate, out.Warning = &shown, s.warn(r, c.Account, t.Versions[0].LaunchTemplateData)
		return nil
	})
}

// add makes a template and returns its id.
func (s *Service) add(r *state.Region, c *wire.Call, in *ec2.CreateLaunchTemplateInput) (string, error) {
	if err := checkPresent(in.LaunchTemplateData); err != nil {
		return "", err
	}
	if err := checkData(in.LaunchTemplateData); err != nil {
		return "", err
	}
	if err := checkDescription(in.VersionDescription); err != nil {
		return "", err
	}
	if err := kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeLaunchTemplate); err != nil {
		return "", err
	}
	if s.named(r, c.Account, *in.LaunchTemplateName) != nil {
		return "", wire.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	id := kit.ID("lt")
	t := &state.LaunchTemplate{Account: c.Account, LaunchTemplate: ec2types.LaunchTemplate{
		LaunchTemplateId: &id, LaunchTemplateName: in.LaunchTemplateName, CreateTime: seconds(r.Now()), CreatedBy: &c.Caller, Operator: unmanaged(),
		DefaultVersionNumber: aws.Int64(1), Tags: kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeLaunchTemplate),
	}}
	data := &ec2types.ResponseLaunchTemplateData{}
	copyFields(data, in.LaunchTemplateData)
	addVersion(t, r, c, data, in.VersionDescription)
	r.LaunchTemplates.Put(id, t)
	return id, nil
}

const maxDescription = 255 // characters [documented]

func checkDescription(text *string) error {
	if utf8.RuneCountInString(aws.ToString(text)) > maxDescription {
		return wire.Errorf("InvalidParameterValue", "The version description must not be longer than %d characters.", maxDescription)
	}
	return nil
}

func (s *Service) createVersion(_ context.Context, c *wire.Call, in *ec2.CreateLaunchTemplateVersionInput) (*ec2.CreateLaunchTemplateVersionOutput, error) {
	mismatch := wire.Errorf("IdempotentParameterMismatch", "Client token already used before") // without a full stop
	out := &ec2.CreateLaunchTemplateVersionOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		t, err := s.find(r, c.Account, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		answer, _, err := kit.Once(r, c, in.ClientToken, in, mismatch, func() (string, error) { return s.addVersion(r, c, t, in) })
		if err != nil {
			return err
		}
		id, n, _ := strings.Cut(answer, "/")
		made, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return err
		}
		v := numbered(t, made)
		if v == nil || id != aws.ToString(t.LaunchTemplateId) {
			return mismatch
		}
		version := shown(t, v)
		out.LaunchTemplateVersion, out.Warning = &version, s.warn(r, c.Account, v.LaunchTemplateData)
		if aws.ToBool(in.ResolveAlias) {
			return s.resolveImage(r, c.Account, &version)
		}
		return nil
	})
}

// addVersion adds a version and returns the template's id and its number.
func (s *Service) addVersion(r *state.Region, c *wire.Call, t *state.LaunchTemplate, in *ec2.CreateLaunchTemplateVersionInput) (string, error) {
	data := &ec2types.ResponseLaunchTemplateData{}
	if source := aws.ToString(in.SourceVersion); source != "" {
		v, err := version(t, source)
		if err != nil {
			return "", err
		}
		*data = *v.LaunchTemplateData
		data.BlockDeviceMappings = withoutSnapshots(data.BlockDeviceMappings)
	} else if err := checkPresent(in.LaunchTemplateData); err != nil {
		return "", err
	}
	if err := checkData(in.LaunchTemplateData); err != nil {
		return "", err
	}
	if err := checkDescription(in.VersionDescription); err != nil {
		return "", err
	}
	if in.LaunchTemplateData != nil {
		given := &ec2types.ResponseLaunchTemplateData{}
		copyFields(given, in.LaunchTemplateData)
		overlay(data, given) // shallow: a member that is given replaces the source's whole
	}
	n := addVersion(r.LaunchTemplates.Edit(*t.LaunchTemplateId), r, c, data, in.VersionDescription)
	return *t.LaunchTemplateId + "/" + strconv.FormatInt(n, 10), nil
}

// withoutSnapshots copies mappings. "Snapshots applied to the block device mapping are ignored when creating a new version unless they are
// explicitly included" [documented; an issue of the AWS CLI, 4297, tells the same].
func withoutSnapshots(all []ec2types.LaunchTemplateBlockDeviceMapping) []ec2types.LaunchTemplateBlockDeviceMapping {
	all = slices.Clone(all)
	for i, m := range all {
		if m.Ebs != nil {
			ebs := *m.Ebs
			ebs.SnapshotId = nil
			all[i].Ebs = &ebs
		}
	}
	return all
}

// addVersion puts a version under the next number, which is never one that was used before, and returns the number.
func addVersion(t *state.LaunchTemplate, r *state.Region, c *wire.Call, data *ec2types.ResponseLaunchTemplateData, description *string) int64 {
	t.Counter++
	n := t.Counter
	if aws.ToString(description) == "" {
		description = nil
	}
	t.Versions = append(slices.Clip(t.Versions), ec2types.LaunchTemplateVersion{
		LaunchTemplateId: t.LaunchTemplateId, LaunchTemplateName: t.LaunchTemplateName, VersionNumber: &n, VersionDescription: description,
		CreateTime: seconds(r.Now()), CreatedBy: &c.Caller, LaunchTemplateData: data, Operator: unmanaged(),
	})
	t.LatestVersionNumber = &n
	return n
}

// resolveImage replaces the image id that v shows by what it stands for.
func (s *Service) resolveImage(r *state.Region, account string, v *ec2types.LaunchTemplateVersion) error {
	if !strings.HasPrefix(aws.ToString(v.LaunchTemplateData.ImageId), ssmPrefix) {
		return nil
	}
	id, err := s.resolve(r, account, *v.LaunchTemplateData.ImageId)
	if err != nil {
		return err
	}
	data := *v.LaunchTemplateData
	data.ImageId = &id
	v.LaunchTemplateData = &data
	return nil
}
