package bake

import (
	"cmp"
	"slices"
	"strings"
)

// PackageChange is one package that differs between two package lists.
type PackageChange struct {
	Name string `json:"name"`
	Arch string `json:"arch"`
	Old  string `json:"old,omitempty"` // version before; empty where the package was added
	New  string `json:"new,omitempty"` // version after; empty where the package was removed
}

// ChangeKind says which way a package went.
type ChangeKind string

// The kinds of a [PackageChange].
const (
	Added      ChangeKind = "added"
	Removed    ChangeKind = "removed"
	Upgraded   ChangeKind = "upgraded"
	Downgraded ChangeKind = "downgraded"
)

// Kind says which way the package went, by the order of versions that its package manager knows.
func (c PackageChange) Kind() ChangeKind {
	switch {
	case c.Old == "":
		return Added
	case c.New == "":
		return Removed
	case compareVersions(c.Arch, c.Old, c.New) > 0:
		return Downgraded
	}
	return Upgraded
}

// String returns for example "nginx 1.22.1-9 → 1.24.0-1", "+ vim 2:9.0" or "- nano 7.2".
func (c PackageChange) String() string {
	switch c.Kind() {
	case Added:
		return "+ " + c.Name + " " + c.New
	case Removed:
		return "- " + c.Name + " " + c.Old
	case Upgraded, Downgraded:
	}
	return c.Name + " " + c.Old + " → " + c.New
}

// DiffPackages returns what changed from one package list to another, sorted by name and architecture. The lists may be in
// any order. Where several versions of a package are installed side by side, as rpm does with kernels, only those count that
// are not in both lists.
func DiffPackages(before, after []Package) []PackageChange {
	gone, come := without(before, after), without(after, before)
	changes := make([]PackageChange, 0, max(len(gone), len(come)))
	for len(gone) > 0 || len(come) > 0 {
		var c PackageChange
		order := nextOf(gone, come)
		if order <= 0 {
			c, gone = PackageChange{Name: gone[0].Name, Arch: gone[0].Arch, Old: gone[0].Version}, gone[1:]
		}
		if order >= 0 {
			c.Name, c.Arch, c.New, come = come[0].Name, come[0].Arch, come[0].Version, come[1:]
		}
		changes = append(changes, c)
	}
	return changes
}

// nextOf tells which of two sorted lists has the next package: below zero a, above zero b, zero both.
func nextOf(a, b []Package) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return cmp.Or(strings.Compare(a[0].Name, b[0].Name), strings.Compare(a[0].Arch, b[0].Arch))
}

// without returns the packages of list that are not in other, sorted.
func without(list, other []Package) []Package {
	known := make(map[Package]bool, len(other))
	for _, p := range other {
		known[p] = true
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(p Package) bool { return known[p] })
	slices.SortFunc(rest, func(a, b Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Arch, b.Arch), compareVersions(a.Arch, a.Version, b.Version))
	})
	return rest
}
