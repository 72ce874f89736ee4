package debian_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/debian"
)

// archive is a package archive in a folder.
type archive struct{ dir string }

func newArchive(t *testing.T) archive {
	t.Helper()
	return archive{t.TempDir()}
}

// suite writes a suite with one component, main, and the packages name=version given.
func (a archive) suite(t *testing.T, name string, compress func(*testing.T, []byte) (string, []byte), byHash bool, packages ...string) {
	t.Helper()
	var index bytes.Buffer
	for _, p := range packages {
		pkg, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&index, "Package: %s\nArchitecture: amd64\nDepends: %s\nVersion: %s\nDescription: Version: 999\n Package: no\n\n",
			pkg, strings.Repeat("libsomething (>= 1), ", 5000), version)
	}
	file, b := compress(t, index.Bytes())
	sum := fmt.Sprintf("%x", sha256.Sum256(b))
	path := "main/binary-amd64/" + file
	stored := path
	if byHash {
		stored = "main/binary-amd64/by-hash/SHA256/" + sum
	}
	a.write(t, "dists/"+name+"/"+stored, b)
	release := fmt.Sprintf(`-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: Test
Suite: %s
Acquire-By-Hash: %s
Components: main
MD5Sum:
 d41d8cd98f00b204e9800998ecf8427e 7 main/binary-amd64/Packages.md5
SHA256:
 %s %d %s
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-arm64/Packages
-----BEGIN PGP SIGNATURE-----

SHA256:
 0000000000000000000000000000000000000000000000000000000000000000 1 main/binary-amd64/Packages
-----END PGP SIGNATURE-----
`, name, map[bool]string{true: "yes", false: "no"}[byHash], sum, len(b), path)
	a.write(t, "dists/"+name+"/InRelease", []byte(release))
}

func (a archive) write(t *testing.T, name string, b []byte) {
	t.Helper()
	name = filepath.Join(a.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, b, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (a archive) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(a.dir)))
	t.Cleanup(s.Close)
	return s.URL
}

func plain(_ *testing.T, b []byte) (string, []byte) { return "Packages", b }

func gzipped(t *testing.T, b []byte) (string, []byte) {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	return "Packages.gz", closed(t, w, &out, b)
}

func xzipped(t *testing.T, b []byte) (string, []byte) {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	return "Packages.xz", closed(t, w, &out, b)
}

func closed(t *testing.T, w io.WriteCloser, out *bytes.Buffer, b []byte) []byte {
	t.Helper()
	_, err := w.Write(b)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func source(mirror, security string) bake.Debian {
	return bake.Debian{Suite: "bookworm", Mirror: mirror + "/", Security: security, Components: []string{"main"}}
}

func TestReleasesNamesWhatTheArchivesHold(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", gzipped, true, "a=1")
	a.suite(t, "bookworm-updates", gzipped, true)
	a.suite(t, "bookworm-security", xzipped, true, "a=2")
	url := a.serve(t)
	list, err := debian.Releases(t.Context(), http.DefaultClient, source(url, url))
	if err != nil {
		t.Fatal(err)
	}
	var suites []string
	for _, l := range list {
		suites = append(suites, l.Suite)
		b, err := os.ReadFile(filepath.Join(a.dir, "dists", l.Suite, "InRelease"))
		if err != nil || l.Release != bake.DigestOf(b) || l.URL != url {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if want := []string{"bookworm", "bookworm-updates", "bookworm-security"}; !reflect.DeepEqual(suites, want) {
		t.Errorf("got %v, want %v", suites, want)
	}
	again, err := debian.Releases(t.Context(), http.DefaultClient, source(url, url))
	if err != nil || !reflect.DeepEqual(again, list) {
		t.Errorf("an archive that did not move: got %v, %v", again, err)
	}
	a.suite(t, "bookworm-security", xzipped, true, "a=3")
	moved, err := debian.Releases(t.Context(), http.DefaultClient, source(url, url))
	if err != nil || moved[2].Release == list[2].Release || moved[0].Release != list[0].Release {
		t.Errorf("an archive that moved: got %v, %v", moved, err)
	}
}

func TestReleasesLeavesOutWhatAnArchiveDoesWithout(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", plain, false, "a=1")
	a.suite(t, "sid", plain, false, "a=1")
	list, err := debian.Releases(t.Context(), http.DefaultClient, source("file://"+a.dir, "none"))
	if err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
	sid := source(a.serve(t), "http://unused.invalid")
	sid.Suite = "sid"
	if list, err := debian.Releases(t.Context(), http.DefaultClient, sid); err != nil || len(list) != 1 {
		t.Errorf("sid: got %v, %v", list, err)
	}
}

func TestReleasesSaysWhatIsWrong(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", plain, false, "a=1")
	a.write(t, "dists/broken/InRelease", []byte("<html>please log in</html>"))
	url := a.serve(t)
	for name, test := range map[string]struct {
		change  func(*bake.Debian)
		want    string
		invalid bool
	}{
		"no such suite":     {func(d *bake.Debian) { d.Suite = "bokworm" }, url + " bokworm", true},
		"no security":       {func(d *bake.Debian) { d.Security = url }, url + " bookworm-security", true},
		"no such component": {func(d *bake.Debian) { d.Components = []string{"main", "contirb"} }, `no component "contirb": it has main`, true},
		"a portal":          {func(d *bake.Debian) { d.Suite = "broken" }, "lists no index", false},
		"a typing error":    {func(d *bake.Debian) { d.Mirror = "htp://x" }, "want http, https or file", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := source(url, "none")
			test.change(&d)
			_, err := debian.Releases(t.Context(), http.DefaultClient, d)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, bake.ErrInvalid) != test.invalid {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestReleasesTriesAgainWhereTheArchiveStutters(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", plain, false, "a=1")
	var calls atomic.Int32
	files := http.FileServer(http.Dir(a.dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer s.Close()
	if list, err := debian.Releases(t.Context(), http.DefaultClient, source(s.URL, "none")); err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestVersionsReadsEveryCompression(t *testing.T) {
	want := map[string]string{"a": "1:2~rc1-1", "b": "3"}
	for name, compress := range map[string]func(*testing.T, []byte) (string, []byte){"plain": plain, "gz": gzipped, "xz": xzipped} {
		for _, byHash := range []bool{false, true} {
			a := newArchive(t)
			a.suite(t, "s", compress, byHash, "a=2-1", "a=1:2~rc1-1", "a=1:1", "b=3")
			list := []bake.Archive{{URL: a.serve(t), Suite: "s", Components: []string{"main"}}}
			got, err := debian.Versions(t.Context(), http.DefaultClient, list, bake.AMD64)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, by hash %v: got %v, %v", name, byHash, got, err)
			}
		}
	}
}

// Many servers are set up to call what is packed an encoding of something else.
func TestVersionsOfAServerThatCallsPackedFilesEncoded(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "s", gzipped, true, "a=1")
	files := http.FileServer(http.Dir(a.dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "Release") {
			w.Header().Set("Content-Encoding", "gzip")
		}
		files.ServeHTTP(w, r)
	}))
	defer s.Close()
	list := []bake.Archive{{URL: s.URL, Suite: "s", Components: []string{"main"}}}
	if got, err := debian.Versions(t.Context(), http.DefaultClient, list, bake.AMD64); err != nil || got["a"] != "1" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestVersionsTakesTheNewestOfAllArchives(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "s", gzipped, true, "a=1-1", "b=2")
	a.suite(t, "s-security", xzipped, true, "a=1-1+deb12u1", "b=1")
	var list []bake.Archive
	for _, suite := range []string{"s", "s-security"} {
		list = append(list, bake.Archive{URL: "file://" + a.dir, Suite: suite, Components: []string{"main"}})
	}
	got, err := debian.Versions(t.Context(), http.DefaultClient, list, bake.AMD64)
	if want := map[string]string{"a": "1-1+deb12u1", "b": "2"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestVersionsTrustsOnlyTheReleaseFile(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "s", plain, false, "a=1")
	list := []bake.Archive{{URL: a.serve(t), Suite: "s", Components: []string{"main"}}}
	index := filepath.Join(a.dir, "dists/s/main/binary-amd64/Packages")
	b, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	for want, changed := range map[string][]byte{
		"is not what the release file says": bytes.Replace(b, []byte("=1"), []byte("=2"), 1)[:len(b)-1],
		"more than":                         append(b, b...),
		"has no packages for amd64":         nil,
	} {
		if err := errors.Join(os.Remove(index), os.WriteFile(index, changed, 0o600)); err != nil {
			t.Fatal(err)
		}
		if changed == nil {
			_ = os.Remove(index)
		}
		if _, err := debian.Versions(t.Context(), http.DefaultClient, list, bake.AMD64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		_ = os.WriteFile(index, b, 0o600)
	}
}

func TestVersionsOfAFlatArchiveIsUnsupported(t *testing.T) {
	list := []bake.Archive{{URL: "http://unused.invalid", Suite: "./"}}
	if _, err := debian.Versions(t.Context(), http.DefaultClient, list, bake.AMD64); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// The archives of Debian and Ubuntu as they are.
func TestVersionsOfRealArchives(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads 10 MB")
	}
	d := bake.Debian{Suite: "bookworm", Mirror: mirror, Security: mirror + "-security", Components: []string{"main"}}
	list, err := debian.Releases(t.Context(), http.DefaultClient, d)
	if err != nil || len(list) != 3 {
		t.Fatalf("got %v, %v", list, err)
	}
	got, err := debian.Versions(t.Context(), http.DefaultClient, list, bake.AMD64)
	if err != nil || len(got) < 60_000 || bake.CompareDebianVersions(got["openssl"], "3.0.17-1~deb12u2") < 0 {
		t.Errorf("%d packages, openssl %s, %v", len(got), got["openssl"], err)
	}
}

func TestRenewLooksAgainAndTellsWhatItCannotLookInto(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", plain, false, "a=1")
	url := a.serve(t)
	old := bake.Archive{URL: url, Suite: "bookworm", Components: []string{"main"}, Release: "sha256:old"}
	flat := bake.Archive{URL: url, Suite: "./"}
	now, rest, err := debian.Renew(t.Context(), http.DefaultClient, []bake.Archive{old, flat})
	if err != nil || len(now) != 1 || now[0].Release == old.Release || !reflect.DeepEqual(rest, []bake.Archive{flat}) {
		t.Errorf("got %v, %v, %v", now, rest, err)
	}
	if _, _, err := debian.Renew(t.Context(), http.DefaultClient, []bake.Archive{{URL: url, Suite: "gone"}}); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("a suite that is gone: got %v", err)
	}
}

func TestCoversSeesThatASourceWasChanged(t *testing.T) {
	a := newArchive(t)
	for _, suite := range []string{"bookworm", "bookworm-updates", "bookworm-security"} {
		a.suite(t, suite, plain, false)
	}
	url := a.serve(t)
	known, err := debian.Releases(t.Context(), http.DefaultClient, source(url, url))
	if err != nil {
		t.Fatal(err)
	}
	withoutUpdates := []bake.Archive{known[0], known[2]}
	if d := source(url, url); !debian.Covers(known, d) || !debian.Covers(withoutUpdates, d) || debian.Covers(known[:2], d) || debian.Covers(nil, d) {
		t.Error("wrong for the source that was resolved")
	}
	for _, change := range []func(*bake.Debian){
		func(d *bake.Debian) { d.Suite = "trixie" },
		func(d *bake.Debian) { d.Mirror = "http://mirror.invalid" },
		func(d *bake.Debian) { d.Security = "none" },
		func(d *bake.Debian) { d.Components = []string{"main", "contrib"} },
	} {
		d := source(url, url)
		if change(&d); debian.Covers(known, d) {
			t.Errorf("covers %+v", d)
		}
	}
}
