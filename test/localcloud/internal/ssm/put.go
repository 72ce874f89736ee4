package ssm

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Limits, as documented.
const (
	maxStandard = 4096 // bytes of a value
	maxAdvanced = 8192
	maxVersions = 100
	maxStanding = 10000 // standard parameters of an account
)

const (
	textType  = "text"
	imageType = "aws:ec2:image"
)

func (s *Service) putParameter(_ context.Context, c *wire.Call, in *awsssm.PutParameterInput) (*awsssm.PutParameterOutput, error) {
	name := strings.TrimSpace(aws.ToString(in.Name))
	if err := checkPut(c, name, in); err != nil {
		return nil, err
	}
	out := &awsssm.PutParameterOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		key := state.Key(c.Account, name)
		p := r.Parameters.Get(key)
		v, err := nextVersion(r, c, p, in)
		if err != nil {
			return err
		}
		tags, err := tagMap(in.Tags)
		if err != nil {
			return err
		}
		v.Version = newNumber(r, c.Account, name, p)
		out.Version, out.Tier = v.Version, types.ParameterTier(v.Tier)
		if p != nil {
			r.Parameters.Edit(key).Counter = v.Version
		}
		if v.DataType == imageType {
			s.draft(r, &state.ParameterDraft{Account: c.Account, Name: name, Version: v, Tags: tags})
			return nil
		}
		v.Valid = r.Now()
		store(r, c.Account, name, v, tags)
		return nil
	})
}

// checkPut checks what can be checked without the records.
func checkPut(c *wire.Call, name string, in *awsssm.PutParameterInput) error {
	switch {
	case aws.ToString(in.Policies) != "":
		return unsupported("A parameter policy")
	case in.Value == nil || *in.Value == "":
		return invalid("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case aws.ToBool(in.Overwrite) && len(in.Tags) > 0:
		return invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case strings.Contains(*in.Value, "{{"):
		return invalid("Parameter value: can't contain '{{}}' or '{{ssm:parameter-name}}'.")
	}
	if err := checkName(c, name); err != nil {
		return err
	}
	switch d := aws.ToString(in.DataType); d {
	case "", textType, imageType:
	case "aws:ssm:integration":
		return unsupported("The data type aws:ssm:integration")
	default:
		return invalid("The following data type is not supported: %s (Data type names are all lowercase.)", d)
	}
	if p := in.AllowedPattern; p != nil {
		if _, err := regexp.Compile(*p); err != nil {
			return wire.Errorf("InvalidAllowedPatternException", "The request does not meet the regular expression requirement: %s", *p)
		}
	}
	return nil
}

// nextVersion returns the version that a request makes of a parameter, which is nil if it is not there, without its number.
func nextVersion(r *state.Region, c *wire.Call, p *state.Parameter, in *awsssm.PutParameterInput) (state.ParameterVersion, error) {
	v := state.ParameterVersion{
		Type: string(in.Type), DataType: aws.ToString(in.DataType), KeyID: aws.ToString(in.KeyId), Pattern: aws.ToString(in.AllowedPattern),
		Value: *in.Value, Description: aws.ToString(in.Description), Modified: r.Now(), By: c.Caller,
	}
	if p != nil {
		if err := inherit(&v, p, in); err != nil {
			return v, err
		}
	}
	if v.DataType == "" {
		v.DataType = textType
	}
	if err := checkType(&v); err != nil {
		return v, err
	}
	if err := setTier(r, c.Account, &v, p, in.Tier); err != nil {
		return v, err
	}
	if v.Pattern != "" {
		if re, err := regexp.Compile(v.Pattern); err != nil || !re.MatchString(v.Value) {
			return v, wire.Errorf("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", v.Pattern)
		}
	}
	return v, nil
}

// inherit checks whether a version can follow those that are there, and takes from the newest what the request does not say.
func inherit(v *state.ParameterVersion, p *state.Parameter, in *awsssm.PutParameterInput) error {
	if !aws.ToBool(in.Overwrite) {
		return wire.Errorf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	}
	last := p.Versions[len(p.Versions)-1]
	if v.Type == "" {
		v.Type = last.Type
	}
	if v.Type != last.Type {
		return wire.Errorf("HierarchyTypeMismatchException", "Parameter Store doesn't support changing a parameter type in a hierarchy. For example, you can't change a parameter from a String type to a SecureString type. You must create a new, unique parameter.")
	}
	if in.DataType == nil {
		v.DataType = last.DataType
	}
	if in.KeyId == nil {
		v.KeyID = last.KeyID
	}
	if in.Description == nil {
		v.Description = last.Description
	}
	if in.AllowedPattern == nil {
		v.Pattern = last.Pattern
	}
	if len(p.Versions) >= maxVersions && len(p.Versions[0].Labels) > 0 {
		n := p.Versions[0].Version
		return wire.Errorf("ParameterMaxVersionLimitExceeded", "You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", p.Name, n)
	}
	return nil
}

func checkType(v *state.ParameterVersion) error {
	secure := v.Type == string(types.ParameterTypeSecureString)
	switch {
	case v.Type == "":
		return invalid("A parameter type is required when you create a parameter.")
	case !slices.Contains(types.ParameterType("").Values(), types.ParameterType(v.Type)):
		return wire.Errorf("UnsupportedParameterType", "The parameter type %s is not supported.", v.Type)
	case v.DataType == imageType && v.Type != string(types.ParameterTypeString):
		return invalid("The parameter data type %s requires the parameter type String.", imageType)
	case v.KeyID != "" && !secure:
		return invalid("KeyId is required for SecureString type parameter only.")
	case secure && v.KeyID == "":
		v.KeyID = "alias/aws/ssm"
	}
	return nil
}

// setTier sets the tier that was asked for, or the one that is needed, and checks the size of the value.
func setTier(r *state.Region, account string, v *state.ParameterVersion, p *state.Parameter, asked types.ParameterTier) error {
	advanced := p != nil && p.Versions[len(p.Versions)-1].Tier == string(types.ParameterTierAdvanced)
	switch {
	case asked == types.ParameterTierStandard && advanced:
		return invalid("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.")
	case asked == types.ParameterTierAdvanced, asked == types.ParameterTierIntelligentTiering && len(v.Value) > maxStandard:
		advanced = true
	}
	v.Tier = string(types.ParameterTierStandard)
	if advanced {
		v.Tier = string(types.ParameterTierAdvanced)
	}
	switch {
	case advanced && len(v.Value) > maxAdvanced:
		return invalid("Advanced tier parameters support a maximum parameter value of %d characters.", maxAdvanced)
	case !advanced && len(v.Value) > maxStandard:
		return invalid("Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html", maxStandard)
	case p == nil && !advanced && r.Parameters.Len() >= maxStanding && standing(r, account) >= maxStanding:
		return wire.Errorf("ParameterLimitExceeded", "You have exceeded the number of parameters for this Amazon Web Services account. Delete one or more parameters and try again.")
	}
	return nil
}

// standing returns how many standard parameters an account has.
func standing(r *state.Region, account string) int {
	n := 0
	for _, p := range r.Parameters.All() {
		if p.Account == account && p.Versions[len(p.Versions)-1].Tier == string(types.ParameterTierStandard) {
			n++
		}
	}
	return n
}

// newNumber returns the number of the next version; those that failed their validation have used up theirs.
func newNumber(r *state.Region, account, name string, p *state.Parameter) int64 {
	var n int64
	if p != nil {
		n = p.Counter
	}
	for _, d := range r.Drafts.All() {
		if d.Account == account && d.Name == name {
			n = max(n, d.Version.Version)
		}
	}
	return n + 1
}

// store adds a version to a parameter, which it makes where it is not there, and drops the oldest one beyond the limit.
func store(r *state.Region, account, name string, v state.ParameterVersion, tags map[string]string) {
	key := state.Key(account, name)
	p := r.Parameters.Edit(key)
	if p == nil {
		p = &state.Parameter{Account: account, Name: name, Tags: tags}
		r.Parameters.Put(key, p)
	}
	versions := append(slices.Clone(p.Versions), v)
	slices.SortFunc(versions, func(a, b state.ParameterVersion) int { return int(a.Version - b.Version) })
	if len(versions) > maxVersions && len(versions[0].Labels) == 0 {
		versions = versions[1:]
	}
	p.Versions, p.Counter = versions, max(p.Counter, v.Version)
}

// tagMap checks tags and returns them as a map.
func tagMap(tags []types.Tag) (map[string]string, error) {
	m := map[string]string{}
	for _, t := range tags {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m, checkTags(m)
}

// draftKey is the key of a draft.
func draftKey(d *state.ParameterDraft) string {
	return state.Key(d.Account, d.Name) + ":" + strconv.FormatInt(d.Version.Version, 10)
}

// draft keeps a version until it is validated.
func (s *Service) draft(r *state.Region, d *state.ParameterDraft) {
	d.Tags = maps.Clone(d.Tags)
	r.Drafts.Put(draftKey(d), d)
	s.validateIn(r, d)
}
