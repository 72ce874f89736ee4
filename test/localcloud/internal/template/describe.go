package template

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const maxPage = 200 // templates or versions [documented]

func (s *Service) describe(_ context.Context, c *wire.Call, in *ec2.DescribeLaunchTemplatesInput) (*ec2.DescribeLaunchTemplatesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	if bad := slices.DeleteFunc(slices.Clone(in.LaunchTemplateIds), wellFormed); len(bad) > 0 {
		return nil, malformed(bad...)
	}
	out := &ec2.DescribeLaunchTemplatesOutput{LaunchTemplates: []ec2types.LaunchTemplate{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		var ids []string
		if in.LaunchTemplateIds != nil || in.LaunchTemplateNames != nil {
			ids = append([]string{}, in.LaunchTemplateIds...)
		}
		found, next, err := listing.Run(listing.Query[*state.LaunchTemplate]{
			IDs: append(ids, in.LaunchTemplateNames...), Filters: in.Filters, Attr: filterTemplate, None: &state.LaunchTemplate{},
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 1, Limit: maxPage, Default: maxPage, Scope: scope(c)},
			Get: func(idOrName string) (*state.LaunchTemplate, error) {
				return s.described(r, c.Account, idOrName, slices.Contains(in.LaunchTemplateIds, idOrName))
			},
			All: func(yield func(*state.LaunchTemplate) bool) {
				for _, t := range r.LaunchTemplates.All() {
					if t.Account == c.Account && !yield(t) {
						return
					}
				}
			},
			Key: func(t *state.LaunchTemplate) string { return aws.ToString(t.LaunchTemplateId) },
		})
		for _, t := range found {
			out.LaunchTemplates = append(out.LaunchTemplates, t.LaunchTemplate)
		}
		out.NextToken = next
		return err
	})
}

// described is find with the errors of Describe, whose codes differ for ids and names.
func (s *Service) described(r *state.Region, account, idOrName string, isID bool) (*state.LaunchTemplate, error) {
	const text = "At least one of the launch templates specified in the request does not exist."
	if isID {
		if t := r.LaunchTemplates.Get(idOrName); t != nil && t.Account == account {
			return t, nil
		}
		return nil, wire.Errorf("InvalidLaunchTemplateId.NotFound", text)
	}
	if t := s.named(r, account, idOrName); t != nil {
		return t, nil
	}
	return nil, wire.Errorf("InvalidLaunchTemplateName.NotFoundException", text)
}

func scope(c *wire.Call) string { return c.Operation + "/" + c.Account + "/" + c.Region }

// timeText is how a filter writes a time.
const timeText = "2006-01-02T15:04:05.000Z"

func filterTemplate(t *state.LaunchTemplate, name string) ([]string, bool) {
	switch name {
	case "create-time":
		return []string{aws.ToTime(t.CreateTime).Format(timeText)}, true
	case "launch-template-name":
		return listing.Values(t.LaunchTemplateName), true
	}
	return kit.TagFilter(t.Tags, name)
}

func (s *Service) describeVersions(_ context.Context, c *wire.Call, in *ec2.DescribeLaunchTemplateVersionsInput) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	if err := checkSelectors(in); err != nil {
		return nil, err
	}
	if _, err := kit.Match(in.Filters, func(name string) ([]string, bool) { return filterVersion(&ec2types.LaunchTemplateVersion{}, name) }); err != nil {
		return nil, err
	}
	out := &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: []ec2types.LaunchTemplateVersion{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		all, err := s.selected(r, c, in)
		if err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		var passed []ec2types.LaunchTemplateVersion
		for i := range all {
			if ok, _ := kit.Match(in.Filters, func(name string) ([]string, bool) { return filterVersion(&all[i], name) }); ok {
				passed = append(passed, all[i])
			}
		}
		page, next, err := kit.Paginate(passed, kit.Page{
			Max: in.MaxResults, Token: in.NextToken, Min: 1, Limit: maxPage, Default: maxPage,
			Scope: scope(c) + "/" + aws.ToString(in.LaunchTemplateId) + aws.ToString(in.LaunchTemplateName),
		})
		out.LaunchTemplateVersions, out.NextToken = append(out.LaunchTemplateVersions, page...), next
		for i := range out.LaunchTemplateVersions {
			if err == nil && aws.ToBool(in.ResolveAlias) {
				err = s.resolveImage(r, c.Account, &out.LaunchTemplateVersions[i])
			}
		}
		return err
	})
}

func checkSelectors(in *ec2.DescribeLaunchTemplateVersionsInput) error {
	one := aws.ToString(in.LaunchTemplateId) != "" || aws.ToString(in.LaunchTemplateName) != ""
	symbolic := !slices.ContainsFunc(in.Versions, func(v string) bool { return v != latest && v != standard })
	switch {
	case !one && (len(in.Versions) == 0 || !symbolic):
		return wire.Errorf("MissingParameter", "To describe the launch template data for all your launch templates, for ‘--versions’ specify "+
			"‘$Latest’, ‘$Default’, or both. To describe other versions, also specify the launch template ID or the launch template name.")
	case len(in.Versions) > 0 && (aws.ToString(in.MinVersion) != "" || aws.ToString(in.MaxVersion) != ""):
		return wire.Errorf("InvalidParameterCombination", "Minimum version filter is not applicable when given a list of versions.")
	}
	return nil
}

// selected returns the versions that a request names, before filters.
func (s *Service) selected(r *state.Region, c *wire.Call, in *ec2.DescribeLaunchTemplateVersionsInput) ([]ec2types.LaunchTemplateVersion, error) {
	if aws.ToString(in.LaunchTemplateId) == "" && aws.ToString(in.LaunchTemplateName) == "" {
		return everywhere(r, c.Account, in.Versions), nil
	}
	t, err := s.find(r, c.Account, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if len(in.Versions) == 0 {
		return between(t, in.MinVersion, in.MaxVersion)
	}
	var all []ec2types.LaunchTemplateVersion
	for _, name := range in.Versions { // also those that are named twice
		v, err := version(t, name)
		if err != nil {
			return nil, err
		}
		all = append(all, shown(t, v))
	}
	return all, nil
}

// between returns the versions from low to high, the highest first.
func between(t *state.LaunchTemplate, low, high *string) ([]ec2types.LaunchTemplateVersion, error) {
	from, to := int64(1), t.Counter
	var err error
	if aws.ToString(low) != "" {
		if from, err = number(t, *low); err != nil {
			return nil, err
		}
	}
	if aws.ToString(high) != "" {
		if to, err = number(t, *high); err != nil {
			return nil, err
		}
	}
	var all []ec2types.LaunchTemplateVersion
	for i := range slices.Backward(t.Versions) {
		if n := aws.ToInt64(t.Versions[i].VersionNumber); n >= from && n <= to {
			all = append(all, shown(t, &t.Versions[i]))
		}
	}
	return all, nil
}

// everywhere returns the latest or default versions of all templates, each once.
func everywhere(r *state.Region, account string, names []string) []ec2types.LaunchTemplateVersion {
	var all []ec2types.LaunchTemplateVersion
	for _, t := range r.LaunchTemplates.Sorted() {
		if t.Account != account {
			continue
		}
		seen := map[int64]bool{}
		for _, name := range names {
			if n, err := number(t, name); err == nil && !seen[n] && numbered(t, n) != nil {
				seen[n] = true
				all = append(all, shown(t, numbered(t, n)))
			}
		}
	}
	return all
}

func filterVersion(v *ec2types.LaunchTemplateVersion, name string) ([]string, bool) {
	data := v.LaunchTemplateData
	if data == nil {
		data = &ec2types.ResponseLaunchTemplateData{}
	}
	if values, ok := filterMetadata(data.MetadataOptions, name); ok {
		return values, true
	}
	switch name {
	case "create-time":
		return []string{aws.ToTime(v.CreateTime).Format(timeText)}, true
	case "is-default-version":
		return listing.Truth(v.DefaultVersion), true
	case "ebs-optimized":
		return listing.Truth(data.EbsOptimized), true
	case "image-id":
		return listing.Values(data.ImageId), true
	case "instance-type":
		return []string{string(data.InstanceType)}, true
	case "kernel-id":
		return listing.Values(data.KernelId), true
	case "ram-disk-id":
		return listing.Values(data.RamDiskId), true
	case "iam-instance-profile":
		if data.IamInstanceProfile == nil {
			return nil, true
		}
		return listing.Values(data.IamInstanceProfile.Arn, data.IamInstanceProfile.Name), true
	case "host-resource-group-arn", "license-configuration-arn", "network-card-index":
		return nil, true // nothing here has one
	}
	return nil, false
}

func filterMetadata(m *ec2types.LaunchTemplateInstanceMetadataOptions, name string) ([]string, bool) {
	if m == nil {
		m = &ec2types.LaunchTemplateInstanceMetadataOptions{}
	}
	value := map[string]string{
		"http-endpoint": string(m.HttpEndpoint), "http-tokens": string(m.HttpTokens), "http-protocol-ipv4": string(m.HttpProtocolIpv6),
	}
	v, ok := value[name]
	return slices.DeleteFunc([]string{v}, func(v string) bool { return strings.TrimSpace(v) == "" }), ok
}
