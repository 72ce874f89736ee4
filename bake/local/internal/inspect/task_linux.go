package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

func readContent(ctx context.Context, e *sandbox.Env, _ json.RawMessage) (any, error) {
	var c Content
	var err error
	if c.Packages, err = packages(ctx, e); err != nil {
		return nil, err
	}
	if c.Archives, err = archives(e.Root); err != nil {
		return nil, err
	}
	return c, nil
}

// packages asks the databases of dpkg and rpm; an image without either has none.
func packages(ctx context.Context, e *sandbox.Env) ([]bake.Package, error) {
	status, err := within.ReadFile(e.Root, "/var/lib/dpkg/status")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := dpkgPackages(string(status))
	if e.Has("rpm") && len(list) == 0 {
		if list, err = rpmPackages(ctx, e); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b bake.Package) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Arch, b.Arch)
	})
	return list, nil
}

// rpmPackages asks rpm itself: its database has had three formats.
func rpmPackages(ctx context.Context, e *sandbox.Env) ([]bake.Package, error) {
	var out strings.Builder
	quiet := *e
	quiet.Log = func(line string) { out.WriteString(line + "\n") }
	err := quiet.Command(ctx, sandbox.Command{Argv: []string{"rpm", "-qa", "--queryformat", rpmFormat}})
	return parseRPM(out.String()), err
}

// archives reads what apt and dnf are set up to install from.
func archives(root string) ([]bake.Archive, error) {
	list := []bake.Archive{}
	for _, from := range []struct {
		pattern string
		parse   func(string) []bake.Archive
	}{
		{"/etc/apt/sources.list", aptLines},
		{"/etc/apt/sources.list.d/*.list", aptLines},
		{"/etc/apt/sources.list.d/*.sources", aptStanzas},
		{"/etc/yum.repos.d/*.repo", dnfRepos},
	} {
		names, err := filepath.Glob(root + from.pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := within.ReadFile(root, strings.TrimPrefix(name, root))
			if err != nil {
				return nil, err
			}
			list = append(list, from.parse(string(text))...)
		}
	}
	return list, nil
}

func listFiles(_ context.Context, e *sandbox.Env, _ json.RawMessage) (any, error) {
	files := []File{}
	err := filepath.WalkDir(e.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := fileAt(path, d)
		f.Path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, e.Root), "/")
		files = append(files, f)
		return err
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) // a walk takes a/b before a.b
	return files, err
}

func fileAt(path string, d fs.DirEntry) (File, error) {
	info, err := d.Info()
	if err != nil {
		return File{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return File{}, errors.ErrUnsupported
	}
	f := File{Type: Special, Mode: stat.Mode & 0o7777, UID: stat.Uid, GID: stat.Gid, Time: info.ModTime().UTC()}
	switch {
	case info.IsDir():
		f.Type = Folder
	case info.Mode()&fs.ModeSymlink != 0:
		f.Type = Link
		f.Target, err = os.Readlink(path)
	case info.Mode().IsRegular():
		f.Type, f.Size = Regular, info.Size()
		f.Digest, err = digestOf(path)
	}
	return f, err
}

func digestOf(path string) (bake.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return bake.DigestReader(f)
}
