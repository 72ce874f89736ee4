package target_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/iibake/iibake/bake/ec2/target"
)

type ask struct{ token *string }

type answer struct {
	items []string
	next  *string
}

// book answers page by page, and fails after the last.
func book(t *testing.T, pages map[string]answer) func(context.Context, *ask, ...func(*struct{})) (*answer, error) {
	t.Helper()
	return func(_ context.Context, in *ask, _ ...func(*struct{})) (*answer, error) {
		at := ""
		if in.token != nil {
			at = *in.token
		}
		page, ok := pages[at]
		if !ok {
			return nil, errors.New("no page " + at)
		}
		return &page, nil
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	two, end, gone := "two", "", "gone"
	more := func(in *ask, out *answer) *string {
		in.token = out.next
		return in.token
	}
	for name, c := range map[string]struct {
		pages map[string]answer
		want  []string
		fails bool
	}{
		"one":                 {map[string]answer{"": {[]string{"a"}, nil}}, []string{"a"}, false},
		"two":                 {map[string]answer{"": {[]string{"a"}, &two}, "two": {[]string{"b"}, &end}}, []string{"a", "b"}, false},
		"an error in between": {map[string]answer{"": {[]string{"a"}, &gone}}, []string{"a"}, true},
	} {
		var got []string
		var failed error
		for page, err := range target.Pages(t.Context(), book(t, c.pages), ask{}, more) {
			if failed = err; err != nil {
				continue // which ends it
			}
			got = append(got, page.items...)
		}
		if !slices.Equal(got, c.want) || (failed != nil) != c.fails {
			t.Errorf("%s: %v, %v", name, got, failed)
		}
	}
	for _, err := range target.Pages(t.Context(), book(t, map[string]answer{"": {nil, &two}}), ask{}, more) {
		if err != nil {
			t.Error(err)
		}
		break // before the page that is not there
	}
}
