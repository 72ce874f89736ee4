package kit

import (
	"strconv"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Page is what a request says about the page that it wants, and what the operation allows.
type Page struct {
	Max   *int32  // of the request; nil takes Default
	Token *string // of the request; nil or empty asks for the first page
	Min   int32   // smallest Max that is allowed
	// Default is how many items a page has when the request does not say; 0 returns all that are left.
	Default int32
	Limit   int32 // greatest Max that is allowed; 0 allows any
	// Scope binds a token: operation, region, account and those filters that must not change between pages. Two pages of other
	// scopes never accept each other's tokens.
	Scope string
	// BadToken is the answer to a token that is none; nil answers as EC2 does.
	BadToken error
}

// Paginate returns a page of items, and the token of the next one unless it is the last. A token holds the number of items that were
// seen: where items come and go between two requests, PaginateBy is better.
func Paginate[T any](items []T, p Page) (page []T, next *string, err error) {
	at, err := p.start()
	if err != nil {
		return nil, nil, err
	}
	from := 0
	if at != "" {
		if from, err = strconv.Atoi(at); err != nil {
			return nil, nil, p.badToken()
		}
	}
	from = min(from, len(items))
	end := p.end(from, len(items))
	if end < len(items) {
		next = p.seal(strconv.Itoa(end))
	}
	return items[from:end:end], next, nil
}

// PaginateBy is Paginate for items in ascending order of their keys, all different. No item that is there all the time is missed or returned
// twice, whatever comes and goes between two requests.
func PaginateBy[T any](items []T, key func(T) string, p Page) (page []T, next *string, err error) {
	at, err := p.start()
	if err != nil {
		return nil, nil, err
	}
	from := 0
	for from < len(items) && at != "" && key(items[from]) < at {
		from++
	}
	end := p.end(from, len(items))
	if end < len(items) {
		next = p.seal(key(items[end]))
	}
	return items[from:end:end], next, nil
}

// WithoutIDs returns EC2's error where a request names n resources in the parameter set, such as imageIdsSet, and asks for pages
// as well.
func (p Page) WithoutIDs(set string, n int) error {
	switch {
	case n == 0:
		return nil
	case p.Token != nil && *p.Token != "":
		return wire.Errorf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter nextToken", set)
	case p.Max != nil:
		return wire.Errorf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", set)
	}
	return nil
}

// start checks the request and returns where its page begins; empty is the start.
func (p Page) start() (string, error) {
	if p.Max != nil {
		if *p.Max < p.Min {
			return "", wire.Errorf("InvalidParameterValue", "Invalid value '%d' for maxResults. Expecting a value greater than %d.", *p.Max, p.Min)
		}
		if p.Limit > 0 && *p.Max > p.Limit { // inferred from the text of the lower bound
			return "", wire.Errorf("InvalidParameterValue", "Invalid value '%d' for maxResults. Expecting a value less than %d.", *p.Max, p.Limit)
		}
	}
	if p.Token == nil || *p.Token == "" {
		return "", nil
	}
	body, ok := Open(p.Scope, *p.Token)
	at, found := strings.CutPrefix(body, "at:")
	if !ok || !found {
		return "", p.badToken()
	}
	return at, nil
}

// end returns where a page ends that begins at from of n items.
func (p Page) end(from, n int) int {
	size := p.Default
	if p.Max != nil {
		size = *p.Max
	}
	if size <= 0 {
		return n
	}
	return min(n, from+int(size))
}

func (p Page) seal(at string) *string {
	token := Seal(p.Scope, "at:"+at)
	return &token
}

func (p Page) badToken() error {
	if p.BadToken != nil {
		return p.BadToken
	}
	return wire.Errorf("InvalidParameterValue", "invalid value for parameter next-token: %s", *p.Token)
}
