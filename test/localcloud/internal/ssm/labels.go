package ssm

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxLabels is how many labels a version can have.
const maxLabels = 10

// labelled returns the key of a parameter and the index of the version that a request names; no version stands for the newest.
func labelled(r *state.Region, c *wire.Call, name *string, version *int64) (key string, i int, err error) {
	key = state.Key(c.Account, strings.TrimSpace(aws.ToString(name)))
	p := r.Parameters.Get(key)
	if p == nil {
		return "", 0, notFound()
	}
	if version == nil {
		return key, len(p.Versions) - 1, nil
	}
	i = slices.IndexFunc(p.Versions, func(v state.ParameterVersion) bool { return v.Version == *version })
	if i < 0 {
		return "", 0, noVersion(p.Name, strconv.FormatInt(*version, 10))
	}
	return key, i, nil
}

func (s *Service) labelParameterVersion(_ context.Context, c *wire.Call, in *awsssm.LabelParameterVersionInput) (*awsssm.LabelParameterVersionOutput, error) {
	if n := len(in.Labels); n == 0 || n > maxLabels {
		return nil, invalid("1 validation error detected: Value '%s' at 'labels' failed to satisfy constraint: Member must have length less than or equal to 10, and greater than or equal to 1", in.Labels)
	}
	out := &awsssm.LabelParameterVersionOutput{InvalidLabels: []string{}}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		key, i, err := labelled(r, c, in.Name, in.ParameterVersion)
		if err != nil {
			return err
		}
		p := r.Parameters.Get(key)
		labels := slices.Clone(p.Versions[i].Labels)
		for _, label := range in.Labels {
			switch {
			case !labelFits(label):
				out.InvalidLabels = append(out.InvalidLabels, label)
			case !slices.Contains(labels, label):
				labels = append(labels, label)
			}
		}
		if len(labels) > maxLabels {
			return wire.Errorf("ParameterVersionLabelLimitExceeded", "A parameter version can have maximum %d labels.Move one or more labels to another version and try again.", maxLabels)
		}
		out.ParameterVersion = p.Versions[i].Version
		moveLabels(r, key, i, labels)
		return nil
	})
}

// labelFits says whether a label is one: letters, digits, dots, hyphens and underscores, no digit, aws or ssm first.
func labelFits(label string) bool {
	lower := strings.ToLower(label)
	return label != "" && len(label) <= 100 && !strings.ContainsFunc(label, func(c rune) bool { return !plain(c) }) &&
		(label[0] < '0' || label[0] > '9') && !strings.HasPrefix(lower, "aws") && !strings.HasPrefix(lower, "ssm")
}

// moveLabels gives a version these labels, and takes them from all others.
func moveLabels(r *state.Region, key string, i int, labels []string) {
	p := r.Parameters.Edit(key)
	p.Versions = slices.Clone(p.Versions)
	for j := range p.Versions {
		p.Versions[j].Labels = slices.DeleteFunc(slices.Clone(p.Versions[j].Labels), func(l string) bool { return slices.Contains(labels, l) })
	}
	p.Versions[i].Labels = labels
}

func (s *Service) unlabelParameterVersion(_ context.Context, c *wire.Call, in *awsssm.UnlabelParameterVersionInput) (*awsssm.UnlabelParameterVersionOutput, error) {
	if in.ParameterVersion == nil {
		return nil, invalid("1 validation error detected: Value null at 'parameterVersion' failed to satisfy constraint: Member must not be null")
	}
	out := &awsssm.UnlabelParameterVersionOutput{InvalidLabels: []string{}, RemovedLabels: []string{}}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		key, i, err := labelled(r, c, in.Name, in.ParameterVersion)
		if err != nil {
			return err
		}
		p := r.Parameters.Edit(key)
		labels := slices.Clone(p.Versions[i].Labels)
		for _, label := range in.Labels {
			j := slices.Index(labels, label)
			if j < 0 {
				out.InvalidLabels = append(out.InvalidLabels, label)
				continue
			}
			labels = slices.Delete(labels, j, j+1)
			out.RemovedLabels = append(out.RemovedLabels, label)
		}
		p.Versions = slices.Clone(p.Versions)
		p.Versions[i].Labels = labels
		return nil
	})
}
