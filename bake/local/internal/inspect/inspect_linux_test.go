package inspect_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/inspect"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	if code, ran := sandbox.Main(inspect.Tasks()); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func content(t *testing.T, files sandboxtest.Files) inspect.Content {
	t.Helper()
	c, err := inspect.Run(t.Context(), sandbox.Root{Disk: sandboxtest.Disk(t, 16<<20, files)})
	if err != nil {
		t.Fatal(err)
	}
	sandboxtest.NothingLeft(t)
	return c
}

func TestPackagesOfDpkg(t *testing.T) {
	c := content(t, sandboxtest.Files{"var/lib/dpkg/status": `Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1
Description: compression
 Package: not-one
 .
 more text: with a colon

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libc6
Status: hold ok installed
Architecture: i386
Version: 2.36-9
Conffiles:
 /etc/ld.so.conf 1234

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: half
Status: install ok half-installed
Architecture: all
Version: 2
`})
	want := []bake.Package{
		{Name: "libc6", Version: "2.36-9", Arch: "amd64"},
		{Name: "libc6", Version: "2.36-9", Arch: "i386"},
		{Name: "zlib1g", Version: "1:1.2.13.dfsg-1", Arch: "amd64"},
	}
	if !reflect.DeepEqual(c.Packages, want) {
		t.Fatalf("got %v\nwant %v", c.Packages, want)
	}
}

// TestPackagesOfRPM runs a program in the place of rpm: what rpm itself writes is tested where rpm is.
func TestPackagesOfRPM(t *testing.T) {
	files := sandboxtest.Busybox(t)
	files["usr/bin/rpm"] = "#!/bin/sh\nprintf 'openssl\\t1:3.0.7-1.el9\\tx86_64\\ngpg-pubkey\\t1\\t(none)\\nbash\\t5.1-1\\tx86_64\\n'\n"
	want := []bake.Package{{Name: "bash", Version: "5.1-1", Arch: "x86_64"}, {Name: "openssl", Version: "1:3.0.7-1.el9", Arch: "x86_64"}}
	if c := content(t, files); !reflect.DeepEqual(c.Packages, want) {
		t.Fatalf("got %v\nwant %v", c.Packages, want)
	}
}

func TestArchives(t *testing.T) {
	c := content(t, sandboxtest.Files{
		"etc/apt/sources.list": "# deb http://old.example/debian old main\n" +
			"deb [arch=amd64 signed-by=/x.gpg] http://deb.example/debian/ bookworm main contrib # trailing\ndeb-src http://deb.example/debian bookworm main\n",
		"etc/apt/sources.list.d/flat.list": "deb https://user:secret@flat.example/repo ./\n",
		"etc/apt/sources.list.d/new.sources": "Types: deb deb-src\nURIs: http://one.example/debian\n http://two.example/debian\n" +
			"Suites: trixie trixie-updates\nComponents: main\n\nTypes: deb\nEnabled: no\nURIs: http://off.example\nSuites: x\nComponents: main\n",
		"etc/apt/sources.list.d/linked.list": "->/srv/linked.list",
		"srv/linked.list":                    "deb http://linked.example/debian sid main\n",
		"etc/yum.repos.d/base.repo":          "[base]\nname=Base\nbaseurl = https://rpm.example/os/\nenabled=1\n",
	})
	want := []bake.Archive{
		{URL: "http://deb.example/debian", Suite: "bookworm", Components: []string{"main", "contrib"}},
		{URL: "https://flat.example/repo", Suite: "./", Components: []string{}},
		{URL: "http://linked.example/debian", Suite: "sid", Components: []string{"main"}},
		{URL: "http://one.example/debian", Suite: "trixie", Components: []string{"main"}},
		{URL: "http://one.example/debian", Suite: "trixie-updates", Components: []string{"main"}},
		{URL: "http://two.example/debian", Suite: "trixie", Components: []string{"main"}},
		{URL: "http://two.example/debian", Suite: "trixie-updates", Components: []string{"main"}},
		{URL: "https://rpm.example/os"},
	}
	for i := range c.Archives {
		if len(c.Archives[i].Components) == 0 {
			c.Archives[i].Components = want[min(i, len(want)-1)].Components
		}
	}
	if !reflect.DeepEqual(c.Archives, want) {
		t.Fatalf("got %v\nwant %v", c.Archives, want)
	}
}

func TestAnImageWithoutAnythingHasNothing(t *testing.T) {
	if c := content(t, sandboxtest.Files{"etc/": ""}); len(c.Packages) != 0 || len(c.Archives) != 0 {
		t.Fatalf("got %+v", c)
	}
}

func TestFiles(t *testing.T) {
	tree := t.TempDir()
	sandboxtest.Files{"etc/motd": "hello\n", "bin/tool": "x", "etc/link": "->/etc/motd", "srv/": ""}.Write(t, tree)
	for _, argv := range [][]string{
		{"mkfifo", filepath.Join(tree, "srv/pipe")},
		{"chown", "-R", "0:0", tree},
		{"chmod", "-R", "u=rwX,go=rX", tree}, // whatever the umask is
		{"chown", "33:34", filepath.Join(tree, "etc/motd")},
		{"chmod", "4755", filepath.Join(tree, "bin/tool")},
	} {
		if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	files, err := inspect.Files(t.Context(), sandbox.Root{Disk: sandboxtest.DiskOf(t, 16<<20, tree)})
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]inspect.File{}
	for _, f := range files {
		if f.Time.IsZero() {
			t.Errorf("%s has no time", f.Path)
		}
		byPath[f.Path] = f
	}
	for path, want := range map[string]inspect.File{
		"/etc/motd": {Type: inspect.Regular, Mode: 0o644, UID: 33, GID: 34, Size: 6, Digest: bake.DigestOf([]byte("hello\n"))},
		"/bin/tool": {Type: inspect.Regular, Mode: 0o4755, Size: 1, Digest: bake.DigestOf([]byte("x"))},
		"/etc/link": {Type: inspect.Link, Mode: 0o777, Target: "/etc/motd"},
		"/srv/pipe": {Type: inspect.Special, Mode: 0o644},
		"/srv":      {Type: inspect.Folder, Mode: 0o755},
	} {
		got := byPath[path]
		want.Path, want.Time = path, got.Time
		if got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
	if _, ok := byPath["/"]; !ok {
		t.Error("the root folder itself is missing")
	}
}

func TestNoFilesystem(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := inspect.Run(t.Context(), sandbox.Root{Disk: f}); err == nil {
		t.Fatal("a disk of zeros is no image")
	}
}

// TestReadingWritesNothing: mounting a journalled filesystem for writing would change the disk, and with it its digest.
func TestReadingWritesNothing(t *testing.T) {
	disk := sandboxtest.Disk(t, 16<<20, sandboxtest.Files{"etc/motd": "hello\n"})
	digest := func() bake.Digest {
		d, err := bake.DigestReader(io.NewSectionReader(disk, 0, 16<<20))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	before := digest()
	if _, err := inspect.Run(t.Context(), sandbox.Root{Disk: disk}); err != nil {
		t.Fatal(err)
	}
	if digest() != before {
		t.Error("what an image says about itself was read, and the disk changed")
	}
	if _, err := inspect.Files(t.Context(), sandbox.Root{Disk: disk}); err != nil {
		t.Fatal(err)
	}
	if digest() != before {
		t.Error("files were listed, and the disk changed")
	}
}

// TestPackagesOfBothKinds: a Debian that has rpm for a tool is a Debian. An rpm that fails is not an image without packages.
func TestPackagesOfBothKinds(t *testing.T) {
	files := sandboxtest.Busybox(t)
	files["usr/bin/rpm"] = "#!/bin/sh\nprintf 'bash\\t5.1-1\\tx86_64\\n'\necho the database is locked >&2\nexit 1\n"
	if _, err := inspect.Run(t.Context(), sandbox.Root{Disk: sandboxtest.Disk(t, 16<<20, files)}); err == nil || !strings.Contains(err.Error(), "rpm") {
		t.Errorf("rpm failed, and the error is %v", err)
	}
	files["var/lib/dpkg/status"] = "Package: dash\nStatus: install ok installed\nVersion: 0.5\nArchitecture: amd64\n"
	if c := content(t, files); len(c.Packages) != 1 || c.Packages[0].Name != "dash" {
		t.Errorf("got %v: want what dpkg knows, and rpm not asked", c.Packages)
	}
}

// TestWhatCannotBeRead: an image whose own files are broken is an error, not an image without them.
func TestWhatCannotBeRead(t *testing.T) {
	for what, files := range map[string]sandboxtest.Files{
		"status": {"var/lib/dpkg/status/x": ""},
		"a.list": {"etc/apt/sources.list.d/a.list/x": ""},
	} {
		_, err := inspect.Run(t.Context(), sandbox.Root{Disk: sandboxtest.Disk(t, 16<<20, files)})
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v: want one that names it", what, err)
		}
	}
}

// TestFilesAreSorted by their whole paths, as two lists of files are compared.
func TestFilesAreSorted(t *testing.T) {
	files, err := inspect.Files(t.Context(), sandbox.Root{Disk: sandboxtest.Disk(t, 16<<20, sandboxtest.Files{
		"a/b": "1", "a.b": "2", "a-b/c": "3", "a b": "4", "ä/ö": "5", "a/b.c/d": "6", "A": "7",
	})})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	if !slices.IsSorted(paths) || !slices.Contains(paths, "/ä/ö") || !slices.Contains(paths, "/a b") {
		t.Errorf("got %q", paths)
	}
}
