package kit

import (
	"slices"
	"strings"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxFilterValues is how many values the filters of one request may have.
const maxFilterValues = 200

// Match reports whether a resource passes all filters. attr returns the values that the resource has for a filter name, and whether
// there is such a filter at all. A filter passes if one of its values is one of the resource's, where * stands for any characters, ? for one, and a
// backslash takes the meaning from the next. All names are looked at also where the answer is no: a caller that asks for a resource without
// values first knows that the request is right also where there are no resources.
func Match(filters []ec2types.Filter, attr func(name string) (values []string, known bool)) (bool, error) {
	matched, n := true, 0
	for _, f := range filters {
		name := "null"
		if f.Name != nil {
			name = *f.Name
		}
		values, known := attr(name)
		if !known {
			return false, wire.Errorf("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		if n += len(f.Values); n > maxFilterValues {
			return false, wire.Errorf("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
		matched = matched && matchAny(f.Values, values)
	}
	return matched, nil
}

func matchAny(patterns, values []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return glob(p, v) })
	})
}

// glob matches in time of the product of the lengths: after a mismatch only the last star is tried again.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, from := -1, 0
	for i < len(s) {
		size, fits := one(pattern[p:], s[i])
		switch {
		case size > 0 && pattern[p] == '*':
			star, from = p, i
			p++
		case fits:
			p, i = p+size, i+1
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// one returns the length of the first element of a pattern, and whether it fits c.
func one(pattern string, c byte) (size int, fits bool) {
	switch {
	case pattern == "":
		return 0, false
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == c
	}
	return 1, pattern[0] == c
}
