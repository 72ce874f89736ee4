package ssm

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) describeParameters(_ context.Context, c *wire.Call, in *awsssm.DescribeParametersInput) (*awsssm.DescribeParametersOutput, error) {
	switch {
	case aws.ToBool(in.Shared):
		return nil, unsupported("Shared")
	case len(in.Filters) > 0 && len(in.ParameterFilters) > 0:
		return nil, invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	given := in.ParameterFilters
	for _, f := range in.Filters { // the older form of the same
		given = append(given, types.ParameterStringFilter{Key: aws.String(string(f.Key)), Values: f.Values})
	}
	filters, err := described.parse(given)
	if err != nil {
		return nil, err
	}
	out := &awsssm.DescribeParametersOutput{Parameters: []types.ParameterMetadata{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		found := []types.ParameterMetadata{}
		for p := range parametersOf(r, c.Account) {
			if v, _, ok := filters.choose(p); ok {
				found = append(found, metadata(r, p, v))
			}
		}
		var err error
		name := func(p types.ParameterMetadata) string { return *p.Name }
		out.Parameters, out.NextToken, err = kit.PaginateBy(found, name, page(c, "", in.MaxResults, in.NextToken, 50, 50))
		return err
	})
}

func metadata(r *state.Region, p *state.Parameter, v state.ParameterVersion) types.ParameterMetadata {
	return types.ParameterMetadata{
		ARN: aws.String(arnOf(r.Name, p.Account, p.Name)), Name: aws.String(p.Name), Type: types.ParameterType(v.Type), DataType: aws.String(v.DataType),
		KeyId: optional(v.KeyID), Description: optional(v.Description), AllowedPattern: optional(v.Pattern), Tier: types.ParameterTier(v.Tier),
		Version: v.Version, LastModifiedDate: aws.Time(v.Modified), LastModifiedUser: aws.String(v.By), Policies: []types.ParameterInlinePolicy{},
	}
}

// filterSet says which filters an operation has: the options of each key, the default one first.
type filterSet int

const (
	described filterSet = iota // of DescribeParameters
	byPath                     // of GetParametersByPath
)

func (set filterSet) options(key string) []string {
	texts := []string{"Equals", "BeginsWith"}
	switch {
	case key == "Type" || key == "KeyId":
		return texts
	case set == byPath && key == "Label":
		return texts[:1]
	case set == byPath:
		return nil
	case key == "Name":
		return append(texts, "Contains")
	case key == "Path":
		return []string{"OneLevel", "Recursive"}
	case key == "Tier" || key == "DataType" || strings.HasPrefix(key, "tag:") && len(key) > len("tag:"):
		return texts
	}
	return nil
}

// filter is a filter that was checked.
type filter struct {
	key, option string
	values      []string
}

type filters []filter

func (set filterSet) parse(given []types.ParameterStringFilter) (filters, error) {
	var parsed filters
	for _, f := range given {
		key := aws.ToString(f.Key)
		options := set.options(key)
		if options == nil {
			return nil, wire.Errorf("InvalidFilterKey", "The following filter key is not valid: %s. Valid filter keys include: %s.", key, set.keys())
		}
		option := options[0]
		if f.Option != nil {
			option = *f.Option
		}
		switch {
		case !slices.Contains(options, option):
			return nil, wire.Errorf("InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [%s]", option, strings.Join(options, ", "))
		case len(f.Values) == 0 && !strings.HasPrefix(key, "tag:"):
			return nil, wire.Errorf("InvalidFilterValue", "The following filter values are missing : null for filter key %s", key)
		case len(f.Values) > 50:
			return nil, invalid("A filter can have up to 50 values")
		case slices.ContainsFunc(parsed, func(other filter) bool { return other.key == key }):
			return nil, wire.Errorf("InvalidFilterKey", "The following filter is duplicated in the request: %s. A request can contain only one occurrence of a specific filter.", key)
		}
		parsed = append(parsed, filter{key, option, f.Values})
	}
	return parsed, nil
}

func (set filterSet) keys() string {
	if set == byPath {
		return "[KeyId, Label, Type]"
	}
	return "[DataType, KeyId, Name, Path, Tier, Type, tag:<key>]"
}

// choose returns the version of a parameter that the filters pass, if any: the newest, or the one with a label that they ask for, which is then also
// the selector.
func (fs filters) choose(p *state.Parameter) (v state.ParameterVersion, selector string, ok bool) {
	v = p.Versions[len(p.Versions)-1]
	for _, f := range fs {
		if f.key != "Label" {
			continue
		}
		i := slices.IndexFunc(p.Versions, func(v state.ParameterVersion) bool {
			return slices.ContainsFunc(f.values, func(label string) bool { return slices.Contains(v.Labels, label) })
		})
		if i < 0 {
			return v, "", false
		}
		v = p.Versions[i]
		label := slices.IndexFunc(f.values, func(label string) bool { return slices.Contains(v.Labels, label) })
		selector = ":" + f.values[label]
	}
	return v, selector, !slices.ContainsFunc(fs, func(f filter) bool { return !f.passes(p, v) })
}

func (f filter) passes(p *state.Parameter, v state.ParameterVersion) bool {
	if key, ok := strings.CutPrefix(f.key, "tag:"); ok {
		value, has := p.Tags[key]
		return has && (len(f.values) == 0 || f.fits(value))
	}
	switch f.key {
	case "Label":
		return true
	case "Path":
		return slices.ContainsFunc(f.values, func(path string) bool { return below(p.Name, path, f.option == "Recursive") })
	case "Name": // with and without the slash in front, as the service does
		return f.fits(p.Name) || f.fits(strings.TrimPrefix(p.Name, "/"))
	}
	return f.fits(map[string]string{"Type": v.Type, "KeyId": v.KeyID, "Tier": v.Tier, "DataType": v.DataType}[f.key])
}

func (f filter) fits(s string) bool {
	return slices.ContainsFunc(f.values, func(want string) bool {
		switch f.option {
		case "BeginsWith":
			return strings.HasPrefix(s, want)
		case "Contains":
			return strings.Contains(s, want)
		}
		return s == want
	})
}

func (s *Service) deleteParameter(_ context.Context, c *wire.Call, in *awsssm.DeleteParameterInput) (*awsssm.DeleteParameterOutput, error) {
	return &awsssm.DeleteParameterOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		if !remove(r, c.Account, aws.ToString(in.Name)) {
			return notFound()
		}
		return nil
	})
}

func (s *Service) deleteParameters(_ context.Context, c *wire.Call, in *awsssm.DeleteParametersInput) (*awsssm.DeleteParametersOutput, error) {
	if n := len(in.Names); n == 0 || n > 10 {
		return nil, invalid("1 validation error detected: Value '%s' at 'names' failed to satisfy constraint: Member must have length less than or equal to 10, and greater than or equal to 1", in.Names)
	}
	out := &awsssm.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		for _, name := range in.Names {
			if remove(r, c.Account, name) {
				out.DeletedParameters = append(out.DeletedParameters, name)
			} else {
				out.InvalidParameters = append(out.InvalidParameters, name)
			}
		}
		return nil
	})
}

// remove deletes a parameter with all that is on its way to it, and says whether it was there.
func remove(r *state.Region, account, name string) bool {
	key := state.Key(account, strings.TrimSpace(name))
	if r.Parameters.Get(key) == nil {
		return false
	}
	r.Parameters.Delete(key)
	for id, d := range r.Drafts.Sorted() {
		if state.Key(d.Account, d.Name) == key {
			r.Drafts.Delete(id)
		}
	}
	return true
}
