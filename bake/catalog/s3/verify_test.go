package s3_test

import (
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/catalog/s3"
)

// TestVerifyFinds lets somebody tamper with a bucket and wants exactly that to be found.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	const head, web1, web2 = "data/heads/latest/web", "data/images/web/1", "data/images/web/2"
	for what, c := range map[string]struct {
		tamper func(s sample)
		want   []string
	}{
		"nothing":          {func(sample) {}, nil},
		"altered record":   {func(s sample) { s.rewrite(web1, "one", "0ne") }, []string{"images/web/1: altered: it has digest sha256:"}},
		"emptied record":   {func(s sample) { s.rewrite(web1, "one", "") }, []string{"images/web/1: altered"}},
		"removed record":   {func(s sample) { s.drop(web2) }, []string{"images/web/2: missing: the journal says that it exists"}},
		"added record":     {func(s sample) { s.set("data/images/web/9", s.get(web1)) }, []string{"images/web/9: not in the journal"}},
		"moved head":       {func(s sample) { s.rewrite(head, "\n2", "\n1") }, []string{"heads/latest/web: does not hold what the journal says: it was altered"}},
		"removed head":     {func(s sample) { s.drop(head) }, []string{"heads/latest/web: missing"}},
		"resurrected head": {func(s sample) { s.set("data/heads/gone", s.first) }, []string{"heads/gone: does not hold what the journal says: it was put back"}},
		"foreign value":    {func(s sample) { s.set("data/images/x", "hello") }, []string{`data/images/x: it begins with "hello"`}},
		"no header":        {func(s sample) { s.set(web1, "one") }, []string{"data/images/web/1: it begins with"}},
		"foreign object":   {func(s sample) { s.set("data/a b", "hello") }, []string{"data/a b: not an object of the catalog"}},
		"foreign entry":    {func(s sample) { s.set("journal/zzz", "hello") }, []string{"journal/zzz: not an entry of the catalog"}},
		"altered entry": {
			func(s sample) { s.rewrite(s3.EntryName(2), `"key":"images/web/2"`, `"key":"images/web/7"`) },
			[]string{"journal/000000000003: the chain is broken", "images/web/2: not in the journal", "images/web/7: missing"},
		},
		"altered time":   {func(s sample) { s.rewrite(s3.EntryName(2), `"time":"2`, `"time":"3`) }, []string{"journal/000000000003: the chain is broken"}},
		"altered value":  {func(s sample) { s.rewrite(s3.EntryName(2), "two", "tow") }, []string{"journal/000000000002: entry 2: the value of images/web/2 was altered", "images/web/2: not in"}},
		"cut value":      {func(s sample) { s.rewrite(s3.EntryName(2), "two", "") }, []string{"journal/000000000002: entry 2: the value of images/web/2 is not whole", "images/web/2: not in"}},
		"removed entry":  {func(s sample) { s.drop(s3.EntryName(2)) }, []string{"journal/000000000002: missing: it was removed", "images/web/2: not in the journal"}},
		"copied entry":   {func(s sample) { s.set(s3.EntryName(2), s.get(s3.EntryName(1))) }, []string{"journal/000000000002: it holds another entry", "images/web/2: not in"}},
		"emptied entry":  {func(s sample) { s.set(s3.EntryName(2), "") }, []string{`journal/000000000002: it begins with ""`, "images/web/2: not in"}},
		"cut journal":    {func(s sample) { s.drop(s3.EntryName(6)) }, []string{"heads/later: not in the journal"}},
		"another format": {func(s sample) { s.rewrite(web1, "catalog 1", "catalog 2") }, []string{"data/images/web/1: it has format 2, and this release knows format 1: use a newer release"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSample(t)
			c.tamper(s)
			wantProblems(t, s.catalog, c.want...)
			wantProblems(t, s.catalog, c.want...) // looking has changed nothing
		})
	}
}

// sample is a catalog with records 1 and 2, a head, one that was removed, and one that moved last: entries 1 to 6.
type sample struct {
	*world
	catalog *s3.Catalog
	first   string // what the removed head was
}

func newSample(t *testing.T) sample {
	t.Helper()
	w := newWorld(t)
	s, ctx := sample{world: w, catalog: w.open(nil)}, t.Context()
	must(t, s.catalog.Put(ctx, "images/web/1", []byte("one")))
	must(t, s.catalog.Put(ctx, "images/web/2", []byte("two")))
	must(t, s.catalog.Swap(ctx, "heads/gone", nil, []byte("x")))
	s.first = s.get("data/heads/gone")
	must(t, s.catalog.Swap(ctx, "heads/gone", []byte("x"), nil))
	must(t, s.catalog.Swap(ctx, "heads/latest/web", nil, []byte("2")))
	must(t, s.catalog.Swap(ctx, "heads/later", nil, []byte("2")))
	return s
}

func (s sample) get(name string) string {
	s.Helper()
	body, ok := s.objects()["some/prefix/"+name]
	if !ok {
		s.Fatalf("there is no %s", name)
	}
	return body
}

func (s sample) set(name, body string) { s.write("some/prefix/"+name, body) }
func (s sample) drop(name string)      { s.remove("some/prefix/" + name) }

func (s sample) rewrite(name, old, text string) {
	s.Helper()
	body := s.get(name)
	if !strings.Contains(body, old) {
		s.Fatalf("%s holds no %q", name, old)
	}
	s.set(name, strings.Replace(body, old, text, 1))
}

// TestRefusesWhatItDoesNotKnow changes nothing where the journal's end is of another release, or is damaged.
func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		tamper func(s sample)
		want   string
	}{
		"newer format": {func(s sample) { s.rewrite(s3.EntryName(6), "catalog 1", "catalog 12") }, "format 12, and this release knows format 1: use a newer release of iibake"},
		"older format": {func(s sample) { s.rewrite(s3.EntryName(6), "catalog 1", "catalog 0") }, "use an older release of iibake"},
		"new field":    {func(s sample) { s.rewrite(s3.EntryName(6), `{"seq"`, `{"new":1,"seq"`) }, `unreadable entry "{\"new\":1`},
		"new change":   {func(s sample) { s.rewrite(s3.EntryName(6), `"op":"swap"`, `"op":"hide"`) }, "entry 6 makes no sense: hide"},
		"altered":      {func(s sample) { s.set(s3.EntryName(6), "hello") }, `it begins with "hello" instead of "iibake catalog 1"`},
		"foreign":      {func(s sample) { s.set("journal/0", "hello") }, "s3://bucket/some/prefix/journal/0: not the name of an entry"},
		"bad value":    {func(s sample) { s.set("data/new", "hello") }, "s3://bucket/some/prefix/data/new: it begins with"},
		"bad number":   {func(s sample) { s.set("data/new", "iibake catalog 1 x00000000001\nhello") }, "data/new: it begins with"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSample(t)
			c.tamper(s)
			before := len(s.objects())
			wantText(t, s.open(nil).Put(t.Context(), "new", nil), c.want)
			if after := len(s.objects()); after != before {
				t.Errorf("%d objects instead of %d", after, before)
			}
		})
	}
}
