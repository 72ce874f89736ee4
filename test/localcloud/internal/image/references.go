package image

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// versionDepth is how many versions of a launch template are looked at, the latest first. It is documented.
const versionDepth = 10

// references is DescribeImageReferences: what the caller has that names an image. Image Builder, which this cloud lacks, has no recipes.
func (s *Service) references(_ context.Context, c *wire.Call, in *ec2.DescribeImageReferencesInput) (*ec2.DescribeImageReferencesOutput, error) {
	l, err := newLookout(c, in)
	if err != nil {
		return nil, err
	}
	out := new(ec2.DescribeImageReferencesOutput)
	return out, s.store.View(c.Region, func(r *state.Region) error {
		for _, id := range in.ImageIds {
			if err := checkImageID(id); err != nil {
				return err
			}
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		l.look(r)
		slices.SortFunc(l.found, func(a, b ec2types.ImageReference) int { return cmp.Compare(referenceKey(a), referenceKey(b)) })
		page := kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 1, Default: 1000, Scope: "DescribeImageReferences " + c.Region + " " + c.Account}
		found, next, err := kit.PaginateBy(l.found, referenceKey, page)
		out.ImageReferences, out.NextToken = append([]ec2types.ImageReference{}, found...), next
		return err
	})
}

func referenceKey(ref ec2types.ImageReference) string {
	return *ref.ImageId + " " + string(ref.ResourceType) + " " + *ref.Arn
}

// lookout looks for references.
type lookout struct {
	account, region string
	images          []string
	kinds           []ec2types.ImageReferenceResourceType
	states          []string // of instances; empty for all
	depth           int
	found           []ec2types.ImageReference
}

func newLookout(c *wire.Call, in *ec2.DescribeImageReferencesInput) (*lookout, error) {
	l := &lookout{account: c.Account, region: c.Region, images: in.ImageIds, depth: versionDepth}
	if aws.ToBool(in.IncludeAllResourceTypes) {
		l.kinds = ec2types.ImageReferenceResourceType("").Values()
	} else if len(in.ResourceTypes) == 0 { // documented; the text is inferred
		return nil, wire.Errorf("MissingParameter", "Either IncludeAllResourceTypes or ResourceTypes must be specified.")
	}
	for _, t := range in.ResourceTypes {
		if !slices.Contains(t.ResourceType.Values(), t.ResourceType) {
			return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter resourceType is invalid.", t.ResourceType)
		}
		l.kinds = append(l.kinds, t.ResourceType)
		for _, o := range t.ResourceTypeOptions {
			if err := l.option(t.ResourceType, o); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

func (l *lookout) option(kind ec2types.ImageReferenceResourceType, o ec2types.ResourceTypeOption) error {
	if kind == ec2types.ImageReferenceResourceTypeEc2Instance && o.OptionName == ec2types.ImageReferenceOptionNameStateName {
		l.states = o.OptionValues
		return nil
	}
	if kind == ec2types.ImageReferenceResourceTypeEc2LaunchTemplate && o.OptionName == ec2types.ImageReferenceOptionNameVersionDepth && len(o.OptionValues) == 1 {
		if n, err := strconv.Atoi(o.OptionValues[0]); err == nil && n >= 1 && n <= 10000 {
			l.depth = n
			return nil
		}
	}
	return wire.Errorf("InvalidParameterValue", "The option '%s' is invalid for the resource type '%s'.", o.OptionName, kind)
}

func (l *lookout) look(r *state.Region) {
	if slices.Contains(l.kinds, ec2types.ImageReferenceResourceTypeEc2Instance) {
		for id, in := range r.Instances.All() {
			if in.Account == l.account && (len(l.states) == 0 || in.State != nil && slices.Contains(l.states, string(in.State.Name))) {
				l.add(in.ImageId, ec2types.ImageReferenceResourceTypeEc2Instance, "ec2", "instance/"+id)
			}
		}
	}
	if slices.Contains(l.kinds, ec2types.ImageReferenceResourceTypeEc2LaunchTemplate) {
		for id, t := range r.LaunchTemplates.All() {
			if t.Account == l.account {
				l.template(id, t)
			}
		}
	}
	if slices.Contains(l.kinds, ec2types.ImageReferenceResourceTypeSsmParameter) {
		for _, p := range r.Parameters.All() {
			if n := len(p.Versions); p.Account == l.account && n > 0 {
				l.add(&p.Versions[n-1].Value, ec2types.ImageReferenceResourceTypeSsmParameter, "ssm", "parameter/"+trimSlash(p.Name))
			}
		}
	}
}

// template adds a template once for each image that one of its latest versions names.
func (l *lookout) template(id string, t *state.LaunchTemplate) {
	seen := map[string]bool{}
	for _, v := range t.Versions[max(0, len(t.Versions)-l.depth):] {
		if v.LaunchTemplateData == nil || seen[aws.ToString(v.LaunchTemplateData.ImageId)] {
			continue
		}
		seen[aws.ToString(v.LaunchTemplateData.ImageId)] = true
		l.add(v.LaunchTemplateData.ImageId, ec2types.ImageReferenceResourceTypeEc2LaunchTemplate, "ec2", "launch-template/"+id)
	}
}

func (l *lookout) add(image *string, kind ec2types.ImageReferenceResourceType, service, resource string) {
	if image == nil || !slices.Contains(l.images, *image) {
		return
	}
	id, arn := *image, "arn:aws:"+service+":"+l.region+":"+l.account+":"+resource
	l.found = append(l.found, ec2types.ImageReference{ImageId: &id, ResourceType: kind, Arn: &arn})
}

// trimSlash is for names of parameters with a path: their ARN has one slash, not two.
func trimSlash(name string) string {
	if name != "" && name[0] == '/' {
		return name[1:]
	}
	return name
}
