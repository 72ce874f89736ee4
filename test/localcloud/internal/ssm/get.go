package ssm

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) getParameter(_ context.Context, c *wire.Call, in *awsssm.GetParameterInput) (*awsssm.GetParameterOutput, error) {
	out := &awsssm.GetParameterOutput{}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		p, v, selector, err := find(r, c.Account, aws.ToString(in.Name))
		if err != nil {
			return err
		}
		shown := show(r, p, v, selector, aws.ToBool(in.WithDecryption))
		out.Parameter = &shown
		return nil
	})
}

// show returns a version as clients see it.
func show(r *state.Region, p *state.Parameter, v state.ParameterVersion, selector string, plain bool) types.Parameter {
	shown := types.Parameter{
		ARN: aws.String(arnOf(r.Name, p.Account, p.Name)), Name: aws.String(p.Name), Type: types.ParameterType(v.Type), DataType: aws.String(v.DataType),
		Value: aws.String(value(v, plain)), Version: v.Version, LastModifiedDate: aws.Time(v.Modified),
	}
	if selector != "" {
		shown.Selector = aws.String(selector)
	}
	return shown
}

// value returns what clients see of a value: a secret one only when they ask for it.
func value(v state.ParameterVersion, plain bool) string {
	if plain || v.Type != string(types.ParameterTypeSecureString) {
		return v.Value
	}
	sum := sha256.Sum256([]byte(v.KeyID + "\x00" + v.Value))
	return "AQICAH" + base64.StdEncoding.EncodeToString(slices.Concat(sum[:], sum[:]))
}

func (s *Service) getParameters(_ context.Context, c *wire.Call, in *awsssm.GetParametersInput) (*awsssm.GetParametersOutput, error) {
	if n := len(in.Names); n == 0 || n > 10 {
		return nil, invalid("1 validation error detected: Value '%s' at 'names' failed to satisfy constraint: Member must have length less than or equal to 10, and greater than or equal to 1", in.Names)
	}
	out := &awsssm.GetParametersOutput{Parameters: []types.Parameter{}, InvalidParameters: []string{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		for _, name := range in.Names {
			p, v, selector, err := find(r, c.Account, name)
			if err != nil {
				out.InvalidParameters = append(out.InvalidParameters, name)
				continue
			}
			out.Parameters = append(out.Parameters, show(r, p, v, selector, aws.ToBool(in.WithDecryption)))
		}
		return nil
	})
}

func (s *Service) getParametersByPath(_ context.Context, c *wire.Call, in *awsssm.GetParametersByPathInput) (*awsssm.GetParametersByPathOutput, error) {
	path := strings.TrimSpace(aws.ToString(in.Path))
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.ContainsFunc(path, strange) {
		return nil, invalid(`The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can't be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.`)
	}
	filters, err := byPath.parse(in.ParameterFilters)
	if err != nil {
		return nil, err
	}
	out := &awsssm.GetParametersByPathOutput{Parameters: []types.Parameter{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		found := []types.Parameter{}
		for p := range parametersOf(r, c.Account) {
			if !below(p.Name, path, aws.ToBool(in.Recursive)) {
				continue
			}
			if v, selector, ok := filters.choose(p); ok {
				found = append(found, show(r, p, v, selector, aws.ToBool(in.WithDecryption)))
			}
		}
		var err error
		name := func(p types.Parameter) string { return *p.Name }
		out.Parameters, out.NextToken, err = kit.PaginateBy(found, name, page(c, path, in.MaxResults, in.NextToken, 10, 10))
		return err
	})
}

// below says whether a name is below a path, directly or, if recursive is set, at any depth.
func below(name, path string, recursive bool) bool {
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(path, "/")+"/")
	return ok && (recursive || !strings.Contains(rest, "/"))
}

// parametersOf yields the parameters of an account, sorted by name.
func parametersOf(r *state.Region, account string) func(yield func(*state.Parameter) bool) {
	return func(yield func(*state.Parameter) bool) {
		for _, p := range r.Parameters.Sorted() {
			if p.Account == account && !yield(p) {
				return
			}
		}
	}
}

// page is how the service pages.
func page(c *wire.Call, what string, size *int32, token *string, standard, limit int32) kit.Page {
	return kit.Page{
		Max: size, Token: token, Min: 1, Default: standard, Limit: limit, Scope: c.Operation + c.Region + c.Account + what,
		BadToken: wire.Errorf("InvalidNextToken", "The specified token isn't valid."),
	}
}

func (s *Service) getParameterHistory(_ context.Context, c *wire.Call, in *awsssm.GetParameterHistoryInput) (*awsssm.GetParameterHistoryOutput, error) {
	out := &awsssm.GetParameterHistoryOutput{Parameters: []types.ParameterHistory{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		p, _, selector, err := find(r, c.Account, aws.ToString(in.Name))
		switch {
		case err != nil:
			return err
		case selector != "":
			return notFound()
		}
		history := make([]types.ParameterHistory, 0, len(p.Versions))
		for _, v := range p.Versions {
			history = append(history, past(p, v, aws.ToBool(in.WithDecryption)))
		}
		out.Parameters, out.NextToken, err = kit.Paginate(history, page(c, p.Name, in.MaxResults, in.NextToken, 50, 50))
		return err
	})
}

func past(p *state.Parameter, v state.ParameterVersion, plain bool) types.ParameterHistory {
	return types.ParameterHistory{
		Name: aws.String(p.Name), Type: types.ParameterType(v.Type), DataType: aws.String(v.DataType), KeyId: optional(v.KeyID),
		Value: aws.String(value(v, plain)), Version: v.Version, Labels: append([]string{}, v.Labels...), Tier: types.ParameterTier(v.Tier),
		Description: optional(v.Description), AllowedPattern: optional(v.Pattern), Policies: []types.ParameterInlinePolicy{},
		LastModifiedDate: aws.Time(v.Modified), LastModifiedUser: aws.String(v.By),
	}
}

// optional is nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}
