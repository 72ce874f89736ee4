package debian

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
)

// Covers reports whether known is what [Releases] could have returned for d: a template whose suite or mirror was changed
// must be resolved anew.
func Covers(known []bake.Archive, d bake.Debian) bool {
	i := 0
	for _, a := range archives(d) {
		if i < len(known) && sameSuite(known[i], a) {
			i++
			continue
		}
		if !strings.HasSuffix(a.Suite, updatesSuffix) {
			return false
		}
	}
	return i == len(known)
}

func sameSuite(a, b bake.Archive) bool {
	return a.URL == b.URL && a.Suite == b.Suite && slices.Equal(a.Components, b.Components)
}

// Renew returns archives with the digests of their release files as they are now, and those that it cannot look into
// because they have no suites.
func Renew(ctx context.Context, client *http.Client, archives []bake.Archive) (now, flat []bake.Archive, err error) {
	now = slices.Clone(archives)
	g, ctx := errgroup.WithContext(ctx)
	for i := range now {
		g.Go(func() error {
			if now[i].Release = ""; now[i].Suite == "" { // dnf's repositories
				return nil
			}
			r, err := readRelease(ctx, client, now[i])
			if errors.Is(err, errors.ErrUnsupported) {
				return nil
			}
			now[i].Release = r.digest
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	for _, a := range now {
		if a.Release == "" {
			flat = append(flat, a)
		}
	}
	return slices.DeleteFunc(now, func(a bake.Archive) bool { return a.Release == "" }), flat, nil
}
