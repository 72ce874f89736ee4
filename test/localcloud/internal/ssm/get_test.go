package ssm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// label labels a version.
func (w *world) label(name string, version int64, labels ...string) *awsssm.LabelParameterVersionOutput {
	w.Helper()
	out, err := w.client.LabelParameterVersion(w.Context(), &awsssm.LabelParameterVersionInput{Name: &name, ParameterVersion: &version, Labels: labels})
	w.must(err)
	return out
}

func TestLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, value := range []string{"a", "b"} {
		_, err := w.put("x", value)
		w.must(err)
	}
	out := w.label("x", 1, "live", "1st", "awsome", "has blank", "live")
	if got := fmt.Sprint(out.InvalidLabels, out.ParameterVersion); got != "[1st awsome has blank] 1" {
		t.Errorf("invalid labels and version %s", got)
	}
	w.wantGet("x:live", "a v1")
	w.label("x", 2, "live")
	w.wantGet("x:live", "b v2")
	shown, err := w.client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String("x:live")})
	w.must(err)
	if aws.ToString(shown.Parameter.Selector) != ":live" || *shown.Parameter.Name != "x" || *shown.Parameter.ARN != "arn:aws:ssm:eu-west-1:111122223333:parameter/x" {
		t.Errorf("selector %v, name %s, ARN %s", shown.Parameter.Selector, *shown.Parameter.Name, *shown.Parameter.ARN)
	}
	w.label("x", 2, "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9", "l10")
	_, err = w.client.LabelParameterVersion(t.Context(), &awsssm.LabelParameterVersionInput{Name: aws.String("x"), Labels: []string{"l11"}})
	wantError(t, err, "ParameterVersionLabelLimitExceeded", "A parameter version can have maximum 10 labels.")
	_, err = w.client.LabelParameterVersion(t.Context(), &awsssm.LabelParameterVersionInput{Name: aws.String("x"), ParameterVersion: aws.Int64(3), Labels: []string{"l"}})
	wantError(t, err, "ParameterVersionNotFound", "Systems Manager could not find version 3 of x. Verify the version and try again.")
	_, err = w.client.LabelParameterVersion(t.Context(), &awsssm.LabelParameterVersionInput{Name: aws.String("y"), Labels: []string{"l"}})
	wantError(t, err, "ParameterNotFound", "")
	gone, err := w.client.UnlabelParameterVersion(t.Context(), &awsssm.UnlabelParameterVersionInput{Name: aws.String("x"), ParameterVersion: aws.Int64(2), Labels: []string{"live", "none"}})
	w.must(err)
	if got := fmt.Sprint(gone.RemovedLabels, gone.InvalidLabels); got != "[live] [none]" {
		t.Errorf("removed and invalid: %s", got)
	}
	w.wantGet("x:live", "ParameterVersionNotFound")
}

func TestGetMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"a", "b"} {
		_, err := w.put(name, name)
		w.must(err)
	}
	out, err := w.client.GetParameters(t.Context(), &awsssm.GetParametersInput{Names: []string{"a", "b:1", "c", "a:7"}})
	w.must(err)
	if len(out.Parameters) != 2 || fmt.Sprint(out.InvalidParameters) != "[c a:7]" {
		t.Errorf("%d found, invalid %v", len(out.Parameters), out.InvalidParameters)
	}
	_, err = w.client.GetParameters(t.Context(), &awsssm.GetParametersInput{Names: strings.Split("abcdefghijk", "")})
	wantError(t, err, "ValidationException", "1 validation error detected")
	deleted, err := w.client.DeleteParameters(t.Context(), &awsssm.DeleteParametersInput{Names: []string{"a", "c"}})
	w.must(err)
	if got := fmt.Sprint(deleted.DeletedParameters, deleted.InvalidParameters); got != "[a] [c]" {
		t.Errorf("deleted and invalid: %s", got)
	}
	_, err = w.client.DeleteParameter(t.Context(), &awsssm.DeleteParameterInput{Name: aws.String("a")})
	wantError(t, err, "ParameterNotFound", "")
}

func TestByPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"/a/x", "/a/y", "/a/b/z", "/ab/w", "plain"} {
		_, err := w.put(name, name)
		w.must(err)
	}
	_, err := w.put("/a/x", "second")
	w.must(err)
	w.label("/a/x", 1, "live")
	for want, in := range map[string]awsssm.GetParametersByPathInput{
		"/a/x=second /a/y=/a/y":               {Path: aws.String("/a")},
		"/a/x=second /a/y=/a/y ":              {Path: aws.String("/a/")},
		"/a/b/z=/a/b/z /a/x=second /a/y=/a/y": {Path: aws.String("/a"), Recursive: aws.Bool(true), MaxResults: aws.Int32(1)},
		"":                                    {Path: aws.String("/none")},
		"/a/x=/a/x":                           {Path: aws.String("/a"), ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Label"), Values: []string{"live"}}}},
	} {
		var got []string
		pages := awsssm.NewGetParametersByPathPaginator(w.client, &in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			w.must(err)
			for _, p := range out.Parameters {
				got = append(got, *p.Name+"="+*p.Value)
			}
		}
		if joined := strings.Join(got, " "); joined != strings.TrimSpace(want) {
			t.Errorf("%s: got %q, want %q", *in.Path, joined, want)
		}
	}
	_, err = w.client.GetParametersByPath(t.Context(), &awsssm.GetParametersByPathInput{Path: aws.String("a")})
	wantError(t, err, "ValidationException", "The parameter doesn't meet the parameter name requirements.")
	_, err = w.client.GetParametersByPath(t.Context(), &awsssm.GetParametersByPathInput{Path: aws.String("/a"), ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{"x"}}}})
	wantError(t, err, "InvalidFilterKey", "")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"/a/x", "/a/b/y", "z"} {
		_, err := w.put(name, "1", first, func(in *awsssm.PutParameterInput) {
			in.Tags = []types.Tag{{Key: aws.String("of"), Value: aws.String(name)}}
		})
		w.must(err)
	}
	_, err := w.put("zz", "s", func(in *awsssm.PutParameterInput) {
		in.Type, in.Tier = types.ParameterTypeSecureString, types.ParameterTierAdvanced
	})
	w.must(err)
	filter := func(key, option string, values ...string) []types.ParameterStringFilter {
		f := types.ParameterStringFilter{Key: &key, Values: values}
		if option != "" {
			f.Option = &option
		}
		return []types.ParameterStringFilter{f}
	}
	for _, c := range []struct {
		filters []types.ParameterStringFilter
		want    string
	}{
		{nil, "/a/b/y /a/x z zz"},
		{filter("Name", "", "/a/x", "z"), "/a/x z"},
		{filter("Name", "", "a/x"), "/a/x"},
		{filter("Name", "BeginsWith", "z"), "z zz"},
		{filter("Name", "Contains", "/b"), "/a/b/y"},
		{filter("Path", "", "/a"), "/a/x"},
		{filter("Path", "Recursive", "/a"), "/a/b/y /a/x"},
		{filter("Type", "", "SecureString"), "zz"},
		{filter("KeyId", "BeginsWith", "alias/aws"), "zz"},
		{filter("Tier", "", "Standard"), "/a/b/y /a/x z"},
		{filter("DataType", "", "text"), "/a/b/y /a/x z zz"},
		{filter("tag:of", "", "z"), "z"},
		{filter("tag:of", ""), "/a/b/y /a/x z"},
		{append(filter("Type", "", "String"), filter("Path", "", "/a")...), "/a/x"},
	} {
		var got []string
		pages := awsssm.NewDescribeParametersPaginator(w.client, &awsssm.DescribeParametersInput{ParameterFilters: c.filters, MaxResults: aws.Int32(1)})
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			w.must(err)
			for _, p := range out.Parameters {
				got = append(got, *p.Name)
			}
		}
		if joined := strings.Join(got, " "); joined != c.want {
			t.Errorf("%v: got %q, want %q", c.filters, joined, c.want)
		}
	}
	for code, filters := range map[string][]types.ParameterStringFilter{
		"InvalidFilterKey": filter("Label", "", "x"), "InvalidFilterOption": filter("Type", "Contains", "x"), "InvalidFilterValue": filter("Name", ""),
	} {
		_, err := w.client.DescribeParameters(t.Context(), &awsssm.DescribeParametersInput{ParameterFilters: filters})
		wantError(t, err, code, "")
	}
	_, err = w.client.DescribeParameters(t.Context(), &awsssm.DescribeParametersInput{NextToken: aws.String("garbage")})
	wantError(t, err, "InvalidNextToken", "")
}

func TestTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.put("x", "1")
	w.must(err)
	add := func(id string, keys ...string) error {
		in := &awsssm.AddTagsToResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: &id}
		for _, k := range keys {
			in.Tags = append(in.Tags, types.Tag{Key: &k, Value: &k})
		}
		_, err := w.client.AddTagsToResource(t.Context(), in)
		return err
	}
	w.must(add("x", "b", "a"))
	_, err = w.client.RemoveTagsFromResource(t.Context(), &awsssm.RemoveTagsFromResourceInput{
		ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: aws.String("x"), TagKeys: []string{"b", "none"},
	})
	w.must(err)
	out, err := w.client.ListTagsForResource(t.Context(), &awsssm.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: aws.String("x")})
	w.must(err)
	if len(out.TagList) != 1 || *out.TagList[0].Key != "a" {
		t.Errorf("tags %v", out.TagList)
	}
	wantError(t, add("y", "a"), "InvalidResourceId", "")
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprint("k", i))
	}
	wantError(t, add("x", many...), "TooManyTagsError", "")
	_, err = w.client.ListTagsForResource(t.Context(), &awsssm.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingDocument, ResourceId: aws.String("x")})
	wantError(t, err, "InvalidResourceType", "")
}
