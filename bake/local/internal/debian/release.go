package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
)

// Releases resolves d to the suites that it is installed and updated from, each with the digest of its release file as the
// archive has it now. An archive without SUITE-updates is one that does without. The release files are not checked against
// a key: apt does that when it installs.
//
// An error wraps [bake.ErrInvalid] where the archive lacks the suite or a component.
func Releases(ctx context.Context, client *http.Client, d bake.Debian) ([]bake.Archive, error) {
	list := archives(d)
	g, ctx := errgroup.WithContext(ctx)
	for i := range list {
		g.Go(func() error {
			r, err := readRelease(ctx, client, list[i])
			if errors.Is(err, bake.ErrNotFound) {
				if strings.HasSuffix(list[i].Suite, updatesSuffix) {
					return nil
				}
				return fmt.Errorf("%w source: %w: check suite, mirror and security", bake.ErrInvalid, err)
			}
			if err != nil {
				return err
			}
			list[i].Release = r.digest
			return r.check(list[i])
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(a bake.Archive) bool { return a.Release == "" }), nil
}

// release is a release file: the list of the indices of a suite.
type release struct {
	digest     bake.Digest
	components []string
	byHash     bool
	files      map[string]entry // by path below the suite
}

// entry is one line of the list.
type entry struct {
	digest bake.Digest
	size   int64
}

const maxRelease = 16 << 20 // bytes; Debian's have less than one million

// base returns the address below which the indices of a suite lie.
func base(a bake.Archive) string { return a.URL + "/dists/" + a.Suite }

func readRelease(ctx context.Context, client *http.Client, a bake.Archive) (release, error) {
	if strings.HasSuffix(a.Suite, "/") {
		return release{}, fmt.Errorf("archive %s: %w: it is a flat one, without suites and components", a, errors.ErrUnsupported)
	}
	b, err := fetch(ctx, client, base(a)+"/InRelease", maxRelease)
	if errors.Is(err, bake.ErrNotFound) {
		b, err = fetch(ctx, client, base(a)+"/Release", maxRelease)
	}
	if err != nil {
		return release{}, fmt.Errorf("archive %s: %w", a, err)
	}
	r, err := parseRelease(b)
	if err != nil {
		return release{}, fmt.Errorf("archive %s: %w", a, err)
	}
	return r, nil
}

// parseRelease reads a release file, with or without a signature around it.
func parseRelease(b []byte) (release, error) {
	r := release{digest: bake.DigestOf(b), files: map[string]entry{}}
	inSums := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "-----BEGIN PGP SIGNATURE") {
			break
		}
		if strings.HasPrefix(line, " ") {
			if inSums {
				r.sum(strings.Fields(line))
			}
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		inSums = key == "SHA256"
		switch key {
		case "Components":
			r.components = strings.Fields(value)
		case "Acquire-By-Hash":
			r.byHash = strings.TrimSpace(value) == "yes"
		}
	}
	if len(r.files) == 0 {
		return release{}, errors.New("its release file lists no index with a SHA-256")
	}
	return r, nil
}

func (r release) sum(fields []string) {
	if len(fields) != 3 {
		return
	}
	d, err := bake.ParseDigest("sha256:" + fields[0])
	size, errSize := strconv.ParseInt(fields[1], 10, 64)
	if err == nil && errSize == nil && size >= 0 {
		r.files[fields[2]] = entry{d, size}
	}
}

// check returns an error where the suite lacks a component that is asked for. Security suites may write updates/main.
func (r release) check(a bake.Archive) error {
	for _, c := range a.Components {
		if len(r.components) > 0 && !slices.ContainsFunc(r.components, func(known string) bool { return path.Base(known) == path.Base(c) }) {
			return fmt.Errorf("%w source: archive %s has no component %q: it has %s", bake.ErrInvalid, a, c, strings.Join(r.components, ", "))
		}
	}
	return nil
}

// index returns the content of an index, verified, and the name that says how it is compressed.
func (r release) index(ctx context.Context, client *http.Client, a bake.Archive, component string, arch bake.Arch) (string, []byte, error) {
	dir := component + "/binary-" + string(arch) + "/"
	// gzip takes a tenth of the time of xz; security archives have xz only.
	for _, name := range []string{"Packages.gz", "Packages.xz", "Packages"} {
		e, ok := r.files[dir+name]
		if !ok {
			continue
		}
		b, err := r.fetchIndex(ctx, client, base(a)+"/"+dir, name, e)
		if errors.Is(err, bake.ErrNotFound) {
			continue // listed, but not kept: Debian does so with the uncompressed one, some mirrors with others
		}
		if err == nil && bake.DigestOf(b) != e.digest {
			err = errors.New(dir + name + " is not what the release file says: the archive is being updated, or a proxy in between is stale: try again later")
		}
		if err != nil {
			return "", nil, fmt.Errorf("archive %s: %w", a, err)
		}
		return name, b, nil
	}
	return "", nil, fmt.Errorf("%w source: archive %s has no packages for %s in component %s", bake.ErrInvalid, a, arch, component)
}

// fetchIndex fetches by digest where the archive offers it: that name does not change its content during an update.
func (r release) fetchIndex(ctx context.Context, client *http.Client, dir, name string, e entry) ([]byte, error) {
	if r.byHash {
		b, err := fetch(ctx, client, dir+"by-hash/SHA256/"+e.digest.Hex(), e.size)
		if !errors.Is(err, bake.ErrNotFound) {
			return b, err
		}
	}
	return fetch(ctx, client, dir+name, e.size)
}

// Versions returns the newest version of each package that the archives hold now, by name: what apt would install where
// nothing is pinned. It works for every archive with suites and components, Ubuntu's too; for a flat one the error wraps
// [errors.ErrUnsupported]. The indices are checked against the release files, which are not checked against a key.
func Versions(ctx context.Context, client *http.Client, list []bake.Archive, arch bake.Arch) (map[string]string, error) {
	newest := map[string]string{}
	for _, a := range list {
		r, err := readRelease(ctx, client, a)
		if err != nil {
			return nil, err
		}
		for _, component := range a.Components {
			name, b, err := r.index(ctx, client, a, component, arch)
			if err != nil {
				return nil, err
			}
			if err := addVersions(newest, name, bytes.NewReader(b)); err != nil {
				return nil, fmt.Errorf("archive %s: index of %s: %w", a, component, err)
			}
		}
	}
	return newest, nil
}
