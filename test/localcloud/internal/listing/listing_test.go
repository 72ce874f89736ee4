package listing_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
)

var errMissing = errors.New("missing")

// query asks for letters, whose one filter is case.
func query(items ...string) listing.Query[string] {
	return listing.Query[string]{
		Set: "letterSet", All: slices.Values(items), Key: func(s string) string { return s }, Page: kit.Page{Scope: "letters", Min: 1},
		Get: func(id string) (string, error) {
			if slices.Contains(items, id) {
				return id, nil
			}
			return "", errMissing
		},
		Attr: func(s, name string) ([]string, bool) {
			if s == "" {
				return nil, name == "case"
			}
			return []string{map[bool]string{true: "upper", false: "lower"}[strings.ToUpper(s) == s]}, name == "case"
		},
	}
}

func only(value string) []ec2types.Filter {
	return []ec2types.Filter{{Name: aws.String("case"), Values: []string{value}}}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		edit func(q *listing.Query[string])
		want string
		err  string
	}{
		"sorted":             {func(*listing.Query[string]) {}, "A B a b", ""},
		"filtered":           {func(q *listing.Query[string]) { q.Filters = only("upper") }, "A B", ""},
		"named, once each":   {func(q *listing.Query[string]) { q.IDs = []string{"b", "A", "b"} }, "A b", ""},
		"named and filtered": {func(q *listing.Query[string]) { q.IDs, q.Filters = []string{"b", "A"}, only("lower") }, "b", ""},
		"none named":         {func(q *listing.Query[string]) { q.IDs = []string{} }, "", ""},
		"missing":            {func(q *listing.Query[string]) { q.IDs = []string{"a", "x"} }, "", "missing"},
		"bad filter before missing": {func(q *listing.Query[string]) {
			q.IDs, q.Filters = []string{"x"}, []ec2types.Filter{{Name: aws.String("y")}}
		}, "", "The filter 'y' is invalid"},
		"bad filter without resources": {func(q *listing.Query[string]) { *q = query(); q.Filters = []ec2types.Filter{{Name: aws.String("y")}} }, "", "The filter 'y' is invalid"},
		"named page":                   {func(q *listing.Query[string]) { q.IDs, q.Page.Max = []string{"a"}, aws.Int32(5) }, "", "The parameter letterSet cannot be used with the parameter maxResults"},
		"page":                         {func(q *listing.Query[string]) { q.Page.Max = aws.Int32(3) }, "A B a ...", ""},
		"page of filtered":             {func(q *listing.Query[string]) { q.Page.Max, q.Filters = aws.Int32(1), only("lower") }, "a ...", ""},
		"bad token":                    {func(q *listing.Query[string]) { q.Page.Token = aws.String("x") }, "", "invalid value for parameter next-token: x"},
	} {
		q := query("b", "A", "a", "B")
		v.edit(&q)
		found, next, err := listing.Run(q)
		if next != nil {
			found = append(found, "...")
		}
		if got := strings.Join(found, " "); got != v.want || (err != nil) != (v.err != "") || err != nil && !strings.Contains(err.Error(), v.err) {
			t.Errorf("%s: got %q %v, want %q %s", name, got, err, v.want, v.err)
		}
	}
}

// However the pages are cut, all of them together are the whole list, in its order.
func TestPagesAreTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfDistinct(rapid.StringMatching(`[a-zA-Z]{1,3}`), func(s string) string { return s }).Draw(t, "items")
		filters := rapid.SampledFrom([][]ec2types.Filter{nil, only("upper")}).Draw(t, "filters")
		q := query(items...)
		q.Filters = filters
		whole, _, err := listing.Run(q)
		if err != nil {
			t.Fatal(err)
		}
		var joined []string
		for {
			q.Page.Max = aws.Int32(rapid.Int32Range(1, 7).Draw(t, "max"))
			page, next, err := listing.Run(q)
			if err != nil || len(page) > int(*q.Page.Max) {
				t.Fatalf("got %v %v", page, err)
			}
			joined = append(joined, page...)
			if q.Page.Token = next; next == nil {
				break
			}
		}
		if !slices.Equal(joined, whole) || !slices.IsSorted(whole) {
			t.Fatalf("pages have %v, the whole is %v", joined, whole)
		}
	})
}

func TestValues(t *testing.T) {
	t.Parallel()
	if got := listing.Values(nil, aws.String("a"), aws.String(""), nil); !slices.Equal(got, []string{"a", ""}) {
		t.Errorf("got %q", got)
	}
	if listing.Values(nil) != nil || listing.Truth(nil)[0] != "false" || listing.Truth(aws.Bool(true))[0] != "true" {
		t.Error("what is not there has a value")
	}
}
