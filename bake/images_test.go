package bake_test

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

func newImages(t *testing.T) bake.Images {
	t.Helper()
	return bake.NewImages(openCatalog(t, t.TempDir()))
}

func openCatalog(t *testing.T, dir string) *catalog.Dir {
	t.Helper()
	c, err := catalog.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// record records img; what it lacks is made up from its version.
func record(t *testing.T, images bake.Images, img bake.Image, packages ...bake.Package) bake.Image {
	t.Helper()
	if img.Key == "" {
		img.Key = bake.DigestOf([]byte("key " + img.Version))
	}
	if img.Disk == "" {
		img.Disk = bake.DigestOf([]byte("disk " + img.Version))
	}
	img, err := images.Record(t.Context(), img, packages)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func ref(name, version string) bake.Ref { return bake.Ref{Name: name, Version: version} }

func wantImage(t *testing.T, got bake.Image, err error, want bake.Ref) {
	t.Helper()
	if err != nil || got.Ref != want {
		t.Errorf("got %s and %v, want %s", got.Ref, err, want)
	}
}

// TestRecordSurvives fills every field, also those of structs within.
func TestRecordSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	parent := ref("base", "2026.11.21-1-g0000000")
	digest := func(s string) bake.Digest { return bake.DigestOf([]byte(s)) }
	archives := []bake.Archive{{
		URL: "http://deb.debian.org/debian", Suite: "bookworm", Components: []string{"main"}, Release: digest("release"),
	}}
	now := time.Date(2026, 11, 22, 1, 2, 3, 4, time.UTC)
	want := bake.Image{
		Ref: ref("web", "2026.11.22-1-gabc1234"), Arch: bake.AMD64, Key: digest("key"), Disk: digest("disk"), Size: 2 * bake.GiB,
		Stored: 12345, Parent: &parent, Source: bake.Resolution{At: now, Parent: &parent, Disk: digest("parent"), Archives: archives},
		Repo: "https://example.com/images.git", Commit: strings.Repeat("0", 40), Dirty: true, Template: "images/web.yaml",
		Created: now, Took: bake.Duration(1500 * time.Millisecond), Archives: archives,
		Steps: []bake.StepResult{{
			Title: "apt nginx", Kind: bake.StepApt, Key: digest("step"), Disk: digest("after"), Cached: true, Took: 1,
		}},
	}
	packages := []bake.Package{{Name: "b", Version: "1", Arch: "amd64"}, {Name: "a", Version: "2", Arch: "all"}}
	want = record(t, bake.NewImages(openCatalog(t, dir)), want, packages...)
	again := bake.NewImages(openCatalog(t, dir))
	got, err := again.Get(t.Context(), want.Ref)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v and %v, want %+v", got, err, want)
	}
	list, err := again.Packages(t.Context(), got)
	if slices.Reverse(packages); err != nil || !slices.Equal(list, packages) {
		t.Errorf("got packages %v and %v, want %v", list, err, packages)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	images := newImages(t)
	key := bake.DigestOf([]byte("key"))
	first := record(t, images, bake.Image{Ref: ref("web", "1"), Key: key})
	if again := record(t, images, first); !reflect.DeepEqual(again, first) {
		t.Errorf("recorded again: got %+v", again)
	}
	second := record(t, images, bake.Image{Ref: ref("web", "2"), Key: key})
	third := record(t, images, bake.Image{Ref: ref("web", "3")})
	record(t, images, bake.Image{Ref: ref("other", "9"), Key: key})

	got, err := images.ByKey(t.Context(), "web", key)
	wantImage(t, got, err, second.Ref)
	got, err = images.Latest(t.Context(), "web")
	wantImage(t, got, err, third.Ref)
	for _, find := range []func() (bake.Image, error){
		func() (bake.Image, error) { return images.ByKey(t.Context(), "web", bake.DigestOf(nil)) },
		func() (bake.Image, error) { return images.Latest(t.Context(), "none") },
		func() (bake.Image, error) { return images.Get(t.Context(), ref("web", "4")) },
		func() (bake.Image, error) { return images.InChannel(t.Context(), "web", "candidate") },
	} {
		if got, err := find(); !errors.Is(err, bake.ErrNotFound) {
			t.Errorf("got %s and %v", got.Ref, err)
		}
	}
	changed := first
	changed.Commit = "another"
	if _, err := images.Record(t.Context(), changed, nil); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("a record was overwritten: %v", err)
	}
}

func TestRecordInParallel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all errgroup.Group
	const n = 8
	for i := range n {
		images := bake.NewImages(openCatalog(t, dir))
		all.Go(func() error {
			img := bake.Image{Ref: ref("web", strconv.Itoa(i)), Key: bake.DigestOf(nil)}
			_, err := images.Record(t.Context(), img, []bake.Package{{Name: "same"}})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	c := openCatalog(t, dir)
	images := bake.NewImages(c)
	if list, err := images.List(t.Context(), "web"); err != nil || len(list) != n {
		t.Errorf("got %v and %v", list, err)
	}
	if _, err := images.ByKey(t.Context(), "web", bake.DigestOf(nil)); err != nil {
		t.Error(err)
	}
	if problems, err := c.Verify(t.Context()); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	images := newImages(t)
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	for _, img := range []bake.Image{
		{Ref: ref("web", "2026.11.02-10-gabc1234"), Created: day(2)},
		{Ref: ref("web", "2026.11.02-9-gabc1234"), Created: day(2)},
		{Ref: ref("web", "2026.11.01-1-gabc1234"), Created: day(1)},
		{Ref: ref("web", "odd"), Created: day(2)},
		{Ref: ref("web-2", "2026.11.01-1-gabc1234"), Created: day(3)},
	} {
		record(t, images, img)
	}
	for name, want := range map[string][]string{
		"web":  {"2026.11.01-1-gabc1234", "odd", "2026.11.02-9-gabc1234", "2026.11.02-10-gabc1234"},
		"":     {"2026.11.01-1-gabc1234", "odd", "2026.11.02-9-gabc1234", "2026.11.02-10-gabc1234", "2026.11.01-1-gabc1234"},
		"none": nil,
	} {
		list, err := images.List(t.Context(), name)
		var got []string
		for _, img := range list {
			got = append(got, img.Version)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: got %q and %v, want %q", name, got, err, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, t.TempDir())
	images := bake.NewImages(c)
	disk := func(first string) bake.Digest {
		return bake.Digest("sha256:" + first + strings.Repeat("0", 64-len(first)))
	}
	for _, img := range []bake.Image{
		{Ref: ref("web", "1"), Disk: disk("abcdef12")},
		{Ref: ref("web", "2"), Disk: disk("abcdef34"), Created: time.Unix(1, 0)},
		{Ref: ref("base", "3"), Disk: disk("123456")},
		{Ref: ref("base", "4"), Disk: disk("123456"), Created: time.Unix(1, 0)}, // the same content again
		{Ref: ref("deadbeef", "5"), Disk: disk("777777")},
		{Ref: ref("base", "6"), Disk: disk("deadbeef"), Created: time.Unix(2, 0)},
		{Ref: ref("sha256", "7"), Disk: disk("888888")},
	} {
		record(t, images, img)
	}
	if err := c.Swap(t.Context(), bake.ChannelHead("web", "candidate"), nil, []byte("1")); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"web": "web:2", "web:1": "web:1", "web@candidate": "web:1", "abcdef1": "web:1", "sha256:abcdef3": "web:2",
		string(disk("abcdef12")): "web:1", disk("abcdef34").Hex(): "web:2", "123456": "base:4",
		"deadbeef": "deadbeef:5", "sha256:deadbeef": "base:6", "sha256": "sha256:7",
	} {
		got, err := images.Find(t.Context(), what)
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s and %v, want %s", what, got.Ref, err, want)
		}
	}
	wantFindErr(t, images, bake.ErrNotFound, "nginx", "web:3", "web@production", "nginx@candidate", "999999", "sha256:999999", "cafe")
	wantFindErr(t, images, bake.ErrInvalid, "", ":", "@", "web:", ":1", "web@", "@candidate", "we b", "web:1:2", "web:../1", "web@a@b",
		"web@a/b", "a/b", "../x", "sha256:", "sha256:abcd", "sha256:ABCDEF12", "abcdef12:", "abcdef")
}

func wantFindErr(t *testing.T, images bake.Images, want error, whats ...string) {
	t.Helper()
	for _, what := range whats {
		if got, err := images.Find(t.Context(), what); !errors.Is(err, want) {
			t.Errorf("%q: got %s and %v, want %v", what, got.Ref, err, want)
		}
	}
}

func TestResolutionIsReplaced(t *testing.T) {
	t.Parallel()
	images := newImages(t)
	if _, err := images.Resolution(t.Context(), "web"); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	for n := range 2 {
		want := bake.Resolution{At: time.Unix(int64(n), 0).UTC(), Disk: bake.DigestOf([]byte{byte(n)})}
		if err := images.SetResolution(t.Context(), "web", want); err != nil {
			t.Fatal(err)
		}
		if got, err := images.Resolution(t.Context(), "web"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v and %v, want %+v", got, err, want)
		}
	}
}

func TestBasePackages(t *testing.T) {
	t.Parallel()
	images := newImages(t)
	disk, want := bake.DigestOf([]byte("disk")), []bake.Package{{Name: "a", Version: "1", Arch: "all"}}
	if _, err := images.Base(t.Context(), disk); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	for _, list := range [][]bake.Package{want, want, append([]bake.Package{{Name: "b", Version: "1", Arch: "all"}}, want...)} {
		if err := images.RecordBase(t.Context(), disk, list); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := images.Base(t.Context(), disk); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v and %v", got, err)
	}
}

func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, t.TempDir())
	images := bake.NewImages(c)
	for _, err := range []error{
		c.Put(t.Context(), "images/web/1", []byte("{")),
		c.Swap(t.Context(), "heads/latest/web", nil, []byte("1")),
		c.Swap(t.Context(), "heads/latest/gone", nil, []byte("1")),
		c.Swap(t.Context(), "heads/resolutions/web", nil, []byte("[]")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, read := range []func() error{
		func() error { _, err := images.Get(t.Context(), ref("web", "1")); return err },
		func() error { _, err := images.Latest(t.Context(), "web"); return err },
		func() error { _, err := images.List(t.Context(), ""); return err },
		func() error { _, err := images.Find(t.Context(), "abcdef"); return err },
		func() error { _, err := images.Resolution(t.Context(), "web"); return err },
	} {
		if err := read(); err == nil || !strings.Contains(err.Error(), "web") || !strings.Contains(err.Error(), "unreadable record") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := images.Latest(t.Context(), "gone"); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestParseRef(t *testing.T) {
	t.Parallel()
	if r, err := bake.ParseRef("web:2026.11.22-1-gabc1234"); err != nil || r != ref("web", "2026.11.22-1-gabc1234") || r.String() != "web:2026.11.22-1-gabc1234" {
		t.Errorf("got %v and %v", r, err)
	}
	for _, s := range []string{"", "web", ":", "web:", ":1", "web:1:2", "a/b:1", "web:a/b", "web: 1", "web@x:1"} {
		if r, err := bake.ParseRef(s); !errors.Is(err, bake.ErrInvalid) || r != (bake.Ref{}) {
			t.Errorf("%q: got %v and %v", s, r, err)
		}
	}
}
