package bake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake/catalog"
)

// Images is the view of a catalog that knows images, their package lists and the resolutions of their sources.
type Images struct{ c catalog.Catalog }

// NewImages returns the images of c.
func NewImages(c catalog.Catalog) Images { return Images{c} }

// Keys of the catalog. Kinds come first, so that a kind is one prefix to list.
const (
	imagesPrefix   = "images/"   // NAME/VERSION → Image
	packagesPrefix = "packages/" // HEX → []Package
	basesPrefix    = "bases/"    // HEX of a foreign disk's file → []Package
)

func imageKey(r Ref) string { return imagesPrefix + r.Name + "/" + r.Version }

// keyHead holds the version of the newest image of name with a bake key.
func keyHead(name string, key Digest) string { return catalog.Heads + "keys/" + name + "/" + key.Hex() }

// latestHead holds the version of the newest image of a name.
func latestHead(name string) string { return catalog.Heads + "latest/" + name }

// resolutionHead holds the current Resolution of a template.
func resolutionHead(name string) string { return catalog.Heads + "resolutions/" + name }

// ChannelHead returns the head that holds the version of image name in a channel. Moving it is the business of the stage
// that owns channels.
func ChannelHead(name, channel string) string {
	return catalog.Heads + "channels/" + name + "/" + channel
}

// Record puts a new image with its package list, in any order, and makes it the newest of its name and of its bake key.
func (v Images) Record(ctx context.Context, img Image, packages []Package) (Image, error) {
	list, err := encodePackages(packages)
	if err != nil {
		return Image{}, fmt.Errorf("record %s: %w", img.Ref, err)
	}
	img.Packages = DigestOf(list)
	body, err := json.Marshal(img)
	if err != nil {
		return Image{}, fmt.Errorf("record %s: %w", img.Ref, err)
	}
	for _, put := range []func() error{
		func() error { return v.c.Put(ctx, packagesPrefix+img.Packages.Hex(), list) },
		func() error { return v.c.Put(ctx, imageKey(img.Ref), body) },
		func() error { return v.set(ctx, latestHead(img.Name), []byte(img.Version)) },
		func() error { return v.set(ctx, keyHead(img.Name, img.Key), []byte(img.Version)) },
	} {
		if err := put(); err != nil {
			return Image{}, fmt.Errorf("record %s: %w", img.Ref, err)
		}
	}
	return img, nil
}

// encodePackages sorts the list, so that equal sets of packages are one record.
func encodePackages(packages []Package) ([]byte, error) {
	sorted := append([]Package{}, packages...) // not nil, which JSON writes as null
	slices.SortFunc(sorted, func(a, b Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Version, b.Version))
	})
	return json.Marshal(sorted)
}

// set moves a head to value, wherever it was.
func (v Images) set(ctx context.Context, head string, value []byte) error {
	for {
		old, err := v.c.Get(ctx, head)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if err := v.c.Swap(ctx, head, old, value); !errors.Is(err, catalog.ErrMoved) {
			return err
		}
	}
}

// Get returns one image.
func (v Images) Get(ctx context.Context, r Ref) (Image, error) {
	body, err := v.c.Get(ctx, imageKey(r))
	if errors.Is(err, catalog.ErrNotFound) {
		return Image{}, fmt.Errorf("image %s: %w", r, ErrNotFound)
	}
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", r, err)
	}
	var img Image
	if err := json.Unmarshal(body, &img); err != nil {
		return Image{}, fmt.Errorf("image %s: unreadable record: %w", r, err)
	}
	return img, nil
}

// List returns the images of a name, or of every name where it is empty, oldest first.
func (v Images) List(ctx context.Context, name string) ([]Image, error) {
	prefix := imagesPrefix
	if name != "" {
		prefix += name + "/"
	}
	keys, err := v.c.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	images := make([]Image, 0, len(keys))
	for _, key := range keys {
		n, version, _ := strings.Cut(strings.TrimPrefix(key, imagesPrefix), "/")
		img, err := v.Get(ctx, Ref{Name: n, Version: version})
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	slices.SortFunc(images, compareAge)
	return images, nil
}

func compareAge(a, b Image) int {
	versionA, _ := ParseVersion(a.Version) // one that cannot be read is the oldest
	versionB, _ := ParseVersion(b.Version)
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name), versionA.Compare(versionB), strings.Compare(a.Version, b.Version))
}

// ByKey returns the newest image of name with a bake key.
func (v Images) ByKey(ctx context.Context, name string, key Digest) (Image, error) {
	return v.head(ctx, name, keyHead(name, key))
}

// Latest returns the newest image of name, whether it passed or not.
func (v Images) Latest(ctx context.Context, name string) (Image, error) {
	return v.head(ctx, name, latestHead(name))
}

// InChannel returns the image of name in a channel.
func (v Images) InChannel(ctx context.Context, name, channel string) (Image, error) {
	img, err := v.head(ctx, name, ChannelHead(name, channel))
	if errors.Is(err, ErrNotFound) {
		return Image{}, fmt.Errorf("image %s@%s: %w", name, channel, ErrNotFound)
	}
	return img, err
}

func (v Images) head(ctx context.Context, name, head string) (Image, error) {
	version, err := v.c.Get(ctx, head)
	if errors.Is(err, catalog.ErrNotFound) {
		return Image{}, fmt.Errorf("image %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	return v.Get(ctx, Ref{Name: name, Version: string(version)})
}

// Find returns the image that a user means by name@channel, name:version, a bare name, which is its newest version, or the
// first digits of a disk's digest: at least six, with or without sha256:. A name comes before digits.
func (v Images) Find(ctx context.Context, what string) (Image, error) {
	name, channel, inChannel := strings.Cut(what, "@")
	hexa, isDigest := strings.CutPrefix(what, digestPrefix)
	switch {
	case inChannel && isWord(name) && isWord(channel):
		return v.InChannel(ctx, name, channel)
	case isDigest && isHexPrefix(hexa):
		return v.byDisk(ctx, hexa)
	case isWord(what):
		img, err := v.Latest(ctx, what)
		if errors.Is(err, ErrNotFound) && isHexPrefix(what) {
			return v.byDisk(ctx, what)
		}
		return img, err
	}
	if r, err := ParseRef(what); err == nil && !isDigest {
		return v.Get(ctx, r)
	}
	return Image{}, fmt.Errorf("%w image %q: want name@channel, name:version or at least %d digits of a disk's digest",
		ErrInvalid, what, minHexPrefix)
}

// isWord reports whether s can be one segment of a catalog's key.
func isWord(s string) bool { return catalog.CheckKey(s) == nil && !strings.ContainsAny(s, "/@") }

const minHexPrefix = 6 // digits; shorter ones are too easily a name such as "web" or "cafe"

func isHexPrefix(s string) bool {
	return len(s) >= minHexPrefix && strings.Trim(s, hexDigits) == ""
}

func (v Images) byDisk(ctx context.Context, hexa string) (Image, error) {
	images, err := v.List(ctx, "")
	if err != nil {
		return Image{}, err
	}
	var found []Image
	for _, img := range images {
		if strings.HasPrefix(img.Disk.Hex(), hexa) {
			found = append(found, img)
		}
	}
	if len(found) == 0 {
		return Image{}, fmt.Errorf("image %s: %w", hexa, ErrNotFound)
	}
	newest := found[len(found)-1]
	for _, img := range found {
		if img.Disk != newest.Disk {
			return Image{}, fmt.Errorf("%w image %s: the digits fit %s and %s: give more of them", ErrInvalid, hexa, img.Ref, newest.Ref)
		}
	}
	return newest, nil
}

// Packages returns the packages that were installed in img, sorted by name.
func (v Images) Packages(ctx context.Context, img Image) ([]Package, error) {
	return v.packages(ctx, packagesPrefix+img.Packages.Hex(), img.String())
}

func (v Images) packages(ctx context.Context, key, of string) ([]Package, error) {
	body, err := v.c.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("packages of %s: %w", of, err)
	}
	var list []Package
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("packages of %s: unreadable record: %w", of, err)
	}
	return list, nil
}

// RecordBase puts the packages that a foreign disk brings along; disk is the digest of its file. What is on record stays, also where
// another release of iibake finds something else.
func (v Images) RecordBase(ctx context.Context, disk Digest, packages []Package) error {
	list, err := encodePackages(packages)
	if err != nil {
		return fmt.Errorf("packages of disk %s: %w", disk.Short(), err)
	}
	if err := v.c.Put(ctx, basesPrefix+disk.Hex(), list); err != nil && !errors.Is(err, catalog.ErrExists) {
		return fmt.Errorf("packages of disk %s: %w", disk.Short(), err)
	}
	return nil
}

// Base returns what RecordBase put.
func (v Images) Base(ctx context.Context, disk Digest) ([]Package, error) {
	return v.packages(ctx, basesPrefix+disk.Hex(), "disk "+disk.Short())
}

// Resolution returns what the source of template name was last resolved to, or an error wrapping ErrNotFound.
func (v Images) Resolution(ctx context.Context, name string) (Resolution, error) {
	body, err := v.c.Get(ctx, resolutionHead(name))
	if errors.Is(err, catalog.ErrNotFound) {
		return Resolution{}, fmt.Errorf("resolution of %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Resolution{}, fmt.Errorf("resolution of %s: %w", name, err)
	}
	var r Resolution
	if err := json.Unmarshal(body, &r); err != nil {
		return Resolution{}, fmt.Errorf("resolution of %s: unreadable record: %w", name, err)
	}
	return r, nil
}

// SetResolution records what the source of template name stands for from now on.
func (v Images) SetResolution(ctx context.Context, name string, r Resolution) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("resolution of %s: %w", name, err)
	}
	if err := v.set(ctx, resolutionHead(name), body); err != nil {
		return fmt.Errorf("resolution of %s: %w", name, err)
	}
	return nil
}
