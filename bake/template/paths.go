package template

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const stayHint = "write a path that begins at the root of the repository and stays in it"

// checkPath says what is wrong with a path that is not in the repository, or is not what the field wants there.
func (d *decoder) checkPath(f field, name string) (problem, hint string) {
	if why := outside(name); why != "" {
		return fmt.Sprintf("%s: the path %s %s", f.subject(), quote(name), why), stayHint
	}
	if f.path == "any" && path.Clean(name) == "." {
		return f.subject() + ": the whole repository would take .git and the catalog with it", "write the path of a file or a folder in it"
	}
	info, err := d.root.Stat(path.Clean(name))
	if err != nil {
		return d.explainStat(f, name, err)
	}
	switch is := f.subject() + ": " + quote(name); {
	case f.path == "file" && !info.Mode().IsRegular():
		return is + " is no file", "write the path of a file"
	case strings.HasSuffix(name, "/") && !info.IsDir():
		return is + " is no folder", "leave the slash at its end away"
	case !info.IsDir() && !info.Mode().IsRegular():
		return is + " is neither a file nor a folder", "write the path of a file or a folder"
	}
	return "", ""
}

func (d *decoder) explainStat(f field, name string, err error) (problem, hint string) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s: no file %s is in the repository", f.subject(), quote(name)), d.sibling(name)
	case strings.Contains(err.Error(), "escapes"): // os.Root has no name for this error
		return fmt.Sprintf("%s: a symbolic link in %s leads out of the repository", f.subject(), quote(name)), stayHint
	}
	return fmt.Sprintf("%s: cannot look at %s: %v", f.subject(), quote(name), plainPathError(err)), "make it readable"
}

// outside says why a path cannot be in the repository, from its letters alone.
func outside(name string) string {
	switch {
	case path.IsAbs(name):
		return "is absolute"
	case slices.Contains(strings.Split(name, "/"), ".."):
		return "leads upwards"
	case strings.Contains(name, `\`):
		return "has a backslash"
	}
	return ""
}

// sibling suggests a name for a file that is not there: the most alike in its folder.
func (d *decoder) sibling(name string) string {
	folder := path.Dir(path.Clean(name))
	entries, _ := fs.ReadDir(d.root.FS(), folder) // without a folder there is nothing to suggest
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if best, ok := Nearest(path.Base(name), names); ok {
		return fmt.Sprintf("did you mean %q?", path.Join(folder, best))
	}
	return "create it, or correct the path, which begins at the root of the repository"
}

// glob returns the files of the repository that fit a pattern, or what is wrong with the pattern.
func (l *loader) glob(pattern string) ([]string, string) {
	if problem := outside(pattern); problem != "" {
		return nil, problem
	}
	if strings.Contains(pattern, "**") {
		return nil, "has **, which is not supported"
	}
	names, err := fs.Glob(l.root.FS(), path.Clean(pattern))
	if err != nil {
		return nil, "is no pattern: a bracket is not closed"
	}
	return names, ""
}
