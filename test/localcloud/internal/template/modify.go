package template

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) modify(_ context.Context, c *wire.Call, in *ec2.ModifyLaunchTemplateInput) (*ec2.ModifyLaunchTemplateOutput, error) {
	out := &ec2.ModifyLaunchTemplateOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		t, err := s.find(r, c.Account, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		id := *t.LaunchTemplateId
		if aws.ToString(in.DefaultVersion) == "" {
			return wire.Errorf("MissingParameter", "A launch template version must be specified to set the new default version for the template with ID %s.", id)
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		_, _, err = kit.Once(r, c, in.ClientToken, in, wire.Errorf("IdempotentParameterMismatch", "The specified client token has already been used before."),
			func() (string, error) {
				v, err := version(t, *in.DefaultVersion)
				if err != nil {
					return "", err
				}
				r.LaunchTemplates.Edit(id).DefaultVersionNumber = v.VersionNumber // a number, also where $Latest was asked for
				return id, nil
			})
		if err != nil {
			return err
		}
		shown := t.LaunchTemplate
		shown.CreateTime, shown.Tags = aws.Time(time.Unix(0, 0).UTC()), nil // as EC2 answers
		out.LaunchTemplate = &shown
		return nil
	})
}

func (s *Service) delete(_ context.Context, c *wire.Call, in *ec2.DeleteLaunchTemplateInput) (*ec2.DeleteLaunchTemplateOutput, error) {
	out := &ec2.DeleteLaunchTemplateOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		t, err := s.find(r, c.Account, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		shown := t.LaunchTemplate
		shown.Tags = nil
		out.LaunchTemplate = &shown
		r.LaunchTemplates.Delete(*t.LaunchTemplateId)
		return nil
	})
}

func (s *Service) deleteVersions(_ context.Context, c *wire.Call, in *ec2.DeleteLaunchTemplateVersionsInput) (*ec2.DeleteLaunchTemplateVersionsOutput, error) {
	for _, name := range in.Versions { // all or nothing, before anything else
		if n, err := strconv.ParseInt(name, 10, 64); name != latest && name != standard && (err != nil || n < 1) {
			return nil, wire.Errorf("InvalidParameterValue", "Invalid value for version: %s", name)
		}
	}
	if len(in.Versions) == 0 {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter LaunchTemplateVersion")
	}
	out := &ec2.DeleteLaunchTemplateVersionsOutput{
		SuccessfullyDeletedLaunchTemplateVersions:   []ec2types.DeleteLaunchTemplateVersionsResponseSuccessItem{},
		UnsuccessfullyDeletedLaunchTemplateVersions: []ec2types.DeleteLaunchTemplateVersionsResponseErrorItem{},
	}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		t, err := s.find(r, c.Account, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		numbers, err := deletable(t, in.Versions)
		if err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		for _, n := range numbers {
			removeVersion(r.LaunchTemplates.Edit(*t.LaunchTemplateId), n, out)
		}
		return nil
	})
}

// deletable returns the numbers of versions to delete, or an error where the default is among them.
func deletable(t *state.LaunchTemplate, names []string) ([]int64, error) {
	var numbers []int64
	for _, name := range names {
		n, err := number(t, name)
		if err != nil {
			return nil, err
		}
		if n == aws.ToInt64(t.DefaultVersionNumber) {
			return nil, wire.Errorf("InvalidParameterValue",
				"The default version cannot be deleted. Either specify another version as default or delete the launch template.")
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

func removeVersion(t *state.LaunchTemplate, n int64, out *ec2.DeleteLaunchTemplateVersionsOutput) {
	if numbered(t, n) == nil {
		out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions,
			ec2types.DeleteLaunchTemplateVersionsResponseErrorItem{
				LaunchTemplateId: t.LaunchTemplateId, LaunchTemplateName: t.LaunchTemplateName, VersionNumber: &n,
				ResponseError: &ec2types.ResponseError{
					Code: ec2types.LaunchTemplateErrorCodeLaunchTemplateVersionDoesNotExist, Message: aws.String("The launch template version does not exist."),
				},
			})
		return
	}
	t.Versions = slices.DeleteFunc(slices.Clone(t.Versions), func(v ec2types.LaunchTemplateVersion) bool { return aws.ToInt64(v.VersionNumber) == n })
	t.LatestVersionNumber = t.Versions[len(t.Versions)-1].VersionNumber // there always is the default
	out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions,
		ec2types.DeleteLaunchTemplateVersionsResponseSuccessItem{LaunchTemplateId: t.LaunchTemplateId, LaunchTemplateName: t.LaunchTemplateName, VersionNumber: &n})
}
