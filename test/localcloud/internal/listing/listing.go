// Package listing answers the Describe operations of EC2 that name resources by their identifiers, by filters and by pages.
package listing

import (
	"cmp"
	"slices"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
)

// Query is what a Describe operation asks for, and how its resources are looked at.
type Query[T any] struct {
	IDs     []string // explicitly named; nil asks for all
	Set     string   // their parameter, such as instanceIdSet
	Filters []ec2types.Filter
	Page    kit.Page
	// Get returns the resource of that identifier, or the service's error.
	Get func(id string) (T, error)
	// All calls yield with all resources that the caller may see, in any order.
	All func(yield func(T) bool)
	// Key returns a resource's identifier.
	Key func(T) string
	// Attr returns the values that a resource has for a filter, and whether there is such a filter. It also takes None.
	Attr func(item T, filter string) ([]string, bool)
	// None is a resource without any values.
	None T
}

// Run returns the resources of a page, sorted by their keys, and the token of the next page.
func Run[T any](q Query[T]) ([]T, *string, error) {
	if _, err := q.passes(q.None); err != nil {
		return nil, nil, err
	}
	if q.Set != "" {
		if err := q.Page.WithoutIDs(q.Set, len(q.IDs)); err != nil {
			return nil, nil, err
		}
	}
	items, err := q.find()
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(q.Key(a), q.Key(b)) })
	return kit.PaginateBy(items, q.Key, q.Page)
}

func (q *Query[T]) find() ([]T, error) {
	items := []T{}
	if q.IDs != nil {
		return q.named(items)
	}
	for item := range q.All {
		pass, err := q.passes(item)
		if err != nil {
			return nil, err
		}
		if pass {
			items = append(items, item)
		}
	}
	return items, nil
}

// named looks the identifiers up; one that is given twice counts once.
func (q *Query[T]) named(items []T) ([]T, error) {
	seen := map[string]bool{}
	for _, id := range q.IDs {
		item, err := q.Get(id)
		if err != nil {
			return nil, err
		}
		if pass, err := q.passes(item); err != nil || !pass || seen[id] {
			continue // err was seen for None already
		}
		seen[id] = true
		items = append(items, item)
	}
	return items, nil
}

func (q *Query[T]) passes(item T) (bool, error) {
	if len(q.Filters) == 0 {
		return true, nil
	}
	return kit.Match(q.Filters, func(name string) ([]string, bool) { return q.Attr(item, name) })
}

// Values returns the values of pointers; a nil one has none.
func Values(values ...*string) []string {
	var all []string
	for _, v := range values {
		if v != nil {
			all = append(all, *v)
		}
	}
	return all
}

// Truth returns how a filter writes a truth value; nil is false.
func Truth(b *bool) []string {
	if b != nil && *b {
		return []string{"true"}
	}
	return []string{"false"}
}
