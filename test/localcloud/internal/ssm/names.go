package ssm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	maxName   = 1011 // characters with the ARN that comes before
	maxLevels = 15
)

// arnOf returns the ARN of a parameter, in which a name has no slash of its own in front.
func arnOf(region, account, name string) string {
	return "arn:aws:ssm:" + region + ":" + account + ":parameter/" + strings.TrimPrefix(name, "/")
}

// checkName returns the error for a name that no new parameter can have.
func checkName(c *wire.Call, name string) error {
	if err := checkReserved(name); err != nil {
		return err
	}
	switch {
	case name == "" || strings.Trim(name, "/") == "" || strings.HasSuffix(name, "/") || strings.Contains(name, "//") || strings.ContainsFunc(name, strange):
		return invalid(`Parameter name: can't be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`)
	case strings.Contains(name, "/") && !strings.HasPrefix(name, "/"):
		return invalid("Parameter name must be a fully qualified name.")
	case len(arnOf(c.Region, c.Account, name)) > maxName:
		return invalid("Parameter name with its ARN can have up to %d characters", maxName)
	case strings.Count(name, "/") > maxLevels:
		return wire.Errorf("HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of %d levels.", maxLevels)
	}
	return nil
}

// checkReserved refuses the names that AWS keeps for itself; that of a path and that of a plain name differ.
func checkReserved(name string) error {
	first := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case !strings.HasPrefix(first, "aws") && !strings.HasPrefix(first, "ssm"):
		return nil
	case !strings.Contains(first, "/"):
		return invalid(`Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`)
	case strings.HasPrefix(first, "aws"):
		return wire.Errorf("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	}
	return invalid(`Parameter name: can't be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`)
}

// strange says whether a character cannot be in a name.
func strange(c rune) bool { return c != '/' && !plain(c) }

func plain(c rune) bool {
	return c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// find returns the parameter and the version that a reference means: NAME, NAME:VERSION or NAME:LABEL, where the name may be an ARN of the account
// and the region. The selector is empty or begins with a colon.
func find(r *state.Region, account, reference string) (p *state.Parameter, v state.ParameterVersion, selector string, err error) {
	names, selector := split(r.Name, account, strings.TrimSpace(reference))
	for _, name := range names {
		if p = r.Parameters.Get(state.Key(account, name)); p != nil {
			break
		}
	}
	if p == nil {
		return nil, v, selector, notFound()
	}
	if selector == "" {
		return p, p.Versions[len(p.Versions)-1], "", nil
	}
	wanted := selector[1:]
	n, isNumber := strconv.ParseInt(wanted, 10, 64)
	for _, v := range p.Versions {
		if isNumber == nil && v.Version == n || isNumber != nil && slices.Contains(v.Labels, wanted) {
			return p, v, selector, nil
		}
	}
	if isNumber == nil {
		return nil, v, selector, noVersion(p.Name, wanted)
	}
	return nil, v, selector, wire.Errorf("ParameterVersionNotFound", "Systems Manager could not find label %s for parameter %s. Verify the label and try again.", wanted, p.Name)
}

func noVersion(name, version string) error {
	return wire.Errorf("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", version, name)
}

// split returns the names that a reference can stand for, and its selector. An ARN does not tell whether a name begins with a slash.
func split(region, account, reference string) (names []string, selector string) {
	name := reference
	prefix := "arn:aws:ssm:" + region + ":" + account + ":parameter/"
	rest, isARN := strings.CutPrefix(reference, prefix)
	if isARN {
		name = rest
	} else if strings.HasPrefix(reference, "arn:") {
		return nil, ""
	}
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name, selector = name[:i], name[i:]
	}
	if isARN {
		return []string{"/" + name, name}, selector
	}
	return []string{name}, selector
}

// Resolve returns the value that a reference of the form resolve:ssm:NAME, resolve:ssm:NAME:VERSION or resolve:ssm:NAME:LABEL stands for, where the
// name may be an ARN. It is called inside an Update or a View. The error is EC2's, for launch templates and instances hold such
// references; that it has this code is inferred.
func Resolve(r *state.Region, account, reference string) (string, error) {
	name, ok := strings.CutPrefix(reference, "resolve:ssm:")
	if !ok || name == "" {
		return "", wire.Errorf("InvalidParameterValue", "The reference '%s' is not valid. The expected format is resolve:ssm:parameter-name, optionally with :version or :label.", reference)
	}
	p, v, _, err := find(r, account, name)
	switch {
	case err != nil:
		return "", wire.Errorf("InvalidParameterValue", "The Systems Manager parameter '%s' could not be resolved: no such parameter, version or label.", name)
	case v.Type != string(types.ParameterTypeString):
		return "", wire.Errorf("InvalidParameterValue", "The Systems Manager parameter '%s' has the type %s. Only parameters of type String can be resolved.", p.Name, v.Type)
	}
	return v.Value, nil
}
