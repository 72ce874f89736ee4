// Package templates holds the files that iibake init writes: a working project, and other ones to start from. They are part
// of the binary, and every one of them is checked in tests.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
)

//go:embed all:project
var files embed.FS

const (
	standard = "default"
	common   = "common" // what every project has
)

// Starter is a project to start from.
type Starter struct {
	Name  string
	About string // one line
}

// Project returns the files of a working project with two images, one on top of the other: what an empty folder gets.
// Paths are relative to the root of the repository; no file is more than a text, and none is executable.
func Project() fs.FS { return project(standard) }

// Starters returns the projects to start from other than [Project], each with one image.
func Starters() []Starter {
	return []Starter{
		{"debian-base", "a small Debian with cloud-init and SSH"},
		{"debian-nginx", "a web server with a site, in one image"},
		{"debian-service", "a program of your own as a systemd service"},
		{"cloud-image", "a distribution's own cloud image, changed"},
	}
}

// Named returns the files of a starter, as [Project] does. Its error wraps [bake.ErrNotFound].
func Named(name string) (fs.FS, error) {
	var names []string
	for _, s := range Starters() {
		names = append(names, s.Name)
	}
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("template %q: %w: there are %s", name, bake.ErrNotFound, strings.Join(names, ", "))
	}
	return project(name), nil
}

func project(name string) fs.FS { return union{sub(name), sub(common)} }

func sub(name string) fs.FS {
	f, err := fs.Sub(files, "project/"+name)
	if err != nil {
		panic("templates: " + err.Error()) // only for a path that no embedded file can have
	}
	return f
}

// union is two trees as one, for [fs.WalkDir] and os.CopyFS. They share folders and no file.
type union [2]fs.FS

// Open implements [fs.FS]. Of a folder it opens the part in the first tree that has it.
func (u union) Open(name string) (fs.File, error) {
	f, err := u[0].Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return u[1].Open(name)
	}
	return f, err
}

// ReadDir implements [fs.ReadDirFS].
func (u union) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(u[0], name)
	more, err2 := fs.ReadDir(u[1], name)
	if err != nil && err2 != nil {
		return nil, err
	}
	entries = append(entries, more...)
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(entries, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }), nil
}
