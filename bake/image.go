package bake

import (
	"fmt"
	"strings"
	"time"
)

// Ref names one version of one image.
type Ref struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// String returns name:version.
func (r Ref) String() string { return r.Name + ":" + r.Version }

// ParseRef reads name:version.
func ParseRef(s string) (Ref, error) {
	name, version, ok := strings.Cut(s, ":")
	if !ok || !isWord(name) || !isWord(version) {
		return Ref{}, fmt.Errorf("%w image %q: want name:version", ErrInvalid, s)
	}
	return Ref{Name: name, Version: version}, nil
}

// Image is one baked, versioned result. Its record never changes; what was judged of it and where it was promoted to are
// records of their own.
type Image struct {
	Ref
	Arch     Arch         `json:"arch"`
	Key      Digest       `json:"key"`              // bake key: everything that decided the content
	Disk     Digest       `json:"disk"`             // block manifest
	Size     Size         `json:"size"`             // of the disk as a machine sees it
	Stored   Size         `json:"stored"`           // of the blocks that are not absent
	Parent   *Ref         `json:"parent,omitempty"` // the image it was baked from, for an image source
	Source   Resolution   `json:"source"`           // the exact inputs of the source
	Repo     string       `json:"repo,omitempty"`   // address of the repository's origin, without credentials
	Commit   string       `json:"commit"`           // full hash
	Dirty    bool         `json:"dirty,omitempty"`  // baked from a work tree with changes of its own
	Author   string       `json:"author,omitempty"` // of the commit, as git has it: Ada <ada@example.com>
	By       string       `json:"by,omitempty"`     // who baked it
	Template string       `json:"template"`         // path of the template in the repository
	Created  time.Time    `json:"created"`
	Took     Duration     `json:"took"`
	Packages Digest       `json:"packages"` // of the package list, a record of its own
	Archives []Archive    `json:"archives"` // package archives that the image is set up to install from
	Steps    []StepResult `json:"steps"`
}

// StepResult is what became of one step.
type StepResult struct {
	Title  string   `json:"title"`
	Kind   StepKind `json:"kind"`
	Key    Digest   `json:"key"`              // of the parent's disk and the step's inputs
	Disk   Digest   `json:"disk"`             // manifest of the disk after the step
	Cached bool     `json:"cached,omitempty"` // the step was not run: its result was in the store
	Took   Duration `json:"took"`
}

// Package is one installed package.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
}

// Archive is one suite of a package archive.
type Archive struct {
	URL        string   `json:"url"`   // base address, without a trailing slash
	Suite      string   `json:"suite"` // for example bookworm-security; the distribution's name for it
	Components []string `json:"components,omitempty"`
	Release    Digest   `json:"release,omitempty"` // of the signed release file; empty where it was not looked at
}

// String names the suite as people write it.
func (a Archive) String() string { return a.URL + " " + a.Suite }

// Resolution is what a template's source stood for at one moment: exact inputs, recorded and used again until somebody asks
// for a new look.
type Resolution struct {
	At       time.Time `json:"at"`
	Parent   *Ref      `json:"parent,omitempty"`   // image source: the image that the channel held
	Disk     Digest    `json:"disk,omitempty"`     // image source: the parent's manifest; disk source: digest of the file
	Archives []Archive `json:"archives,omitempty"` // package archives, with the digests of their release files
}

// Inputs returns the digest of what decides content: everything but the time.
func (r Resolution) Inputs() (Digest, error) {
	r.At = time.Time{}
	return DigestJSON(r)
}
