package s3

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/rclone/gofakes3"
)

// exchange is what a request and its answer have besides what the library knows. It is in the context of the request.
type exchange struct {
	account, region string
	conditions      conditions        // of a write
	checksums       map[string]string // headers of the checksums that the body turned out to have
	client          bool              // the error is the client's, although the library does not know its code
	empty           bool              // the listing is
	suffix          string            // of the ETag of the object that is answered: the number of its parts, with a hyphen
}

type exchangeKey struct{}

// exchangeOf returns the exchange of a request; never nil.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{}
}

// ownerOf keeps the uploads of accounts apart.
func ownerOf(ctx context.Context) string { return exchangeOf(ctx).account }

// conditions are those of a write or a delete, as the client sent them.
type conditions struct{ match, noneMatch string }

// check says whether what is there, which may be nil, meets the conditions. It is called where nothing can change meanwhile.
func (c conditions) check(o *object) error {
	switch {
	case c.match != "" && o == nil:
		return noKey()
	case c.match != "" && !listed(c.match, o.ETag), c.noneMatch != "" && o != nil:
		return gofakes3.ErrorMessage(gofakes3.ErrPreconditionFailed, "At least one of the pre-conditions you specified did not hold")
	}
	return nil
}

// listed says whether an ETag is in the list of a header; a star stands for any.
func listed(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) == etag {
			return true
		}
	}
	return false
}

// noKey is the answer where an object is not there.
func noKey() error {
	return gofakes3.ErrorMessage(gofakes3.ErrNoSuchKey, "The specified key does not exist.")
}

// takeConditions takes the conditions of a write from the headers, for the shelf checks them where they hold. In those of a read it leaves, for the
// library, ETags without the number of parts.
func takeConditions(r *http.Request) conditions {
	parts := regexp.MustCompile(`\b([0-9a-f]{32})-[0-9]+\b`)
	for _, name := range []string{"X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match"} {
		shorten(r.Header, name, parts)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		shorten(r.Header, "If-Match", parts)
		shorten(r.Header, "If-None-Match", parts)
		return conditions{}
	}
	c := conditions{match: r.Header.Get("If-Match"), noneMatch: r.Header.Get("If-None-Match")}
	r.Header.Del("If-Match")
	r.Header.Del("If-None-Match")
	return c
}

func shorten(h http.Header, name string, parts *regexp.Regexp) {
	if v := h.Get(name); v != "" {
		h.Set(name, parts.ReplaceAllString(v, "$1"))
	}
}
