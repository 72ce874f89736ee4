package template

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
)

// completeTemplate sets the defaults of a decoded template and checks what its tags cannot say.
func completeTemplate(d *decoder, t *bake.Template) {
	defaults(d.tables, d.given, t)
	c := checker{d}
	if len(t.Name) > maxName {
		c.fail("name", fmt.Sprintf("the name has %d letters", len(t.Name)), fmt.Sprintf("write at most %d", maxName))
	}
	c.source(t)
	for i := range t.Steps {
		c.step("steps["+strconv.Itoa(i)+"]", &t.Steps[i], t.Dir)
	}
	c.tests(t)
	c.unique("publish.targets", t.Publish.Targets)
}

// maxName leaves room for a version behind the name where a cloud allows 128 letters for both.
const maxName = 64

// checker reports what does not go together in one template.
type checker struct{ d *decoder }

func (c checker) fail(path, text, hint string) { c.d.failOnce(path, text, hint) }

func (c checker) has(path string) bool {
	_, ok := c.d.given[path]
	return ok
}

// hasBelow reports whether the file has something in a mapping.
func (c checker) hasBelow(path string) bool {
	for p := range c.d.given {
		if strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

// minDebian is what the smallest Debian with a kernel, a boot loader and cloud-init fits into.
const minDebian = 1 * bake.GiB

func (c checker) source(t *bake.Template) {
	if t.DiskSize%bake.MiB != 0 {
		c.fail("disk_size", "\"disk_size\" is no whole number of MiB", "write for example "+(t.DiskSize/bake.MiB*bake.MiB+bake.MiB).String())
	}
	if t.Source.Debian != nil && t.DiskSize != 0 && t.DiskSize < minDebian {
		c.fail("disk_size", "a Debian does not fit on "+t.DiskSize.String(), "write at least "+minDebian.String())
	}
	if disk := t.Source.Disk; disk != nil && disk.URL != "" && disk.SHA256 == "" {
		c.fail("source.disk.url", "\"url\" is not enough: what it serves can change", "add sha256: and the digits that sha256sum prints for the file")
	}
}

func (c checker) step(at string, s *bake.Step, dir string) {
	c.reference(at+".env", s.Env, dir)
	if (s.Copy != nil || s.User != nil) && s.Env != nil {
		c.fail(at+".env", fmt.Sprintf("env has no effect on %s", s.Kind()), "move it to a step of its own: it then holds for all steps after it")
	}
	for key, p := range map[string]*bake.Packages{"apt": s.Apt, "dnf": s.Dnf, "packages": s.Packages} {
		if p != nil {
			c.packages(at+"."+key, p)
		}
	}
	switch {
	case s.Copy != nil && !isClean(s.Copy.To):
		c.fail(at+".copy.to", fmt.Sprintf("the path %s is not plain", quote(s.Copy.To)), "write it without . and .. and double slashes")
	case s.User != nil:
		c.user(at+".user", s.User)
	}
}

// reference sets where the secrets of an environment are looked for.
func (c checker) reference(at string, env map[string]bake.Value, dir string) {
	for _, v := range env {
		if v.Secret != nil {
			v.Secret.Dir = dir
		}
	}
	if env != nil && len(env) == 0 && !c.hasBelow(at) {
		c.fail(at, "env is empty", "write NAME: value, or remove it")
	}
}

func (c checker) packages(at string, p *bake.Packages) {
	if len(p.Install) == 0 && len(p.Remove) == 0 && !p.Upgrade {
		where := at
		for _, key := range []string{".remove", ".install"} {
			if c.has(at + key) {
				where = at + key // which may be wrong already
			}
		}
		c.fail(where, "no package is named here", "write for example [nginx], or upgrade: true")
	}
	c.unique(at+".install", p.Install)
	c.unique(at+".remove", p.Remove)
	for i, name := range p.Remove {
		if slices.Contains(p.Install, name) {
			c.fail(at+".remove["+strconv.Itoa(i)+"]", fmt.Sprintf("the package %s is to be installed and removed", quote(name)), "remove one of the two")
		}
	}
}

func (c checker) user(at string, u *bake.User) {
	if u.Name == "root" && (u.UID != nil || u.System || u.Sudo || c.has(at+".home")) {
		c.fail(at, "root is there already", "give root nothing but shell, groups and ssh_keys")
	}
	for key, dir := range map[string]string{"home": u.Home, "shell": u.Shell} {
		if dir != "" && !isClean(dir) {
			c.fail(at+"."+key, fmt.Sprintf("the path %s is not plain", quote(dir)), "write it without . and .. and double slashes")
		}
	}
	c.unique(at+".groups", u.Groups)
}

// isClean reports whether a path has no detours, apart from a slash at its end.
func isClean(p string) bool {
	return p == "" || p == "/" || path.Clean(p) == strings.TrimSuffix(p, "/")
}

func (c checker) tests(t *bake.Template) {
	const firmware = "tests.boot.firmware"
	boot := t.Tests.Boot
	if t.Arch == bake.ARM64 && slices.Contains(boot.Firmware, bake.BIOS) {
		c.fail(firmware, "an arm64 machine has no BIOS", "write [uefi], or remove it")
	}
	if c.has(firmware) && len(boot.Firmware) == 0 {
		c.fail(firmware, "firmware is empty", "write [bios], [uefi] or [bios, uefi]")
	}
	names := make([]string, len(boot.Firmware))
	for i, f := range boot.Firmware {
		names[i] = string(f)
	}
	c.unique(firmware, names)
}

// unique reports the items that a list has twice.
func (c checker) unique(at string, items []string) {
	seen := map[string]bool{}
	for i, item := range items {
		if seen[item] && item != "" {
			c.fail(at+"["+strconv.Itoa(i)+"]", fmt.Sprintf("%s is in the list twice", quote(item)), "remove one of them")
		}
		seen[item] = true
	}
}

// checkImages checks the templates against the project and against each other.
func (l *loader) checkImages(p *Project) {
	first := map[string]bake.Template{}
	for _, t := range p.Images {
		given := l.given[t.File]
		if other, ok := first[t.Name]; ok && t.Name != "" {
			l.fail(t.Pos, fmt.Sprintf("the image %s has its name already in %s", quote(t.Name), other.Pos), "choose another name in one of the two")
		} else {
			first[t.Name] = t
		}
		if _, channel, ok := strings.Cut(t.Source.Image, "@"); ok {
			if _, ok := p.Channels[channel]; !ok {
				l.fail(given.at("source.image"), "no channel is named "+quote(channel), didYouMean(channel, sortedKeys(p.Channels), "declare it under channels in "+projectFile))
			}
		}
		for i, target := range t.Publish.Targets {
			if _, ok := p.Targets[target]; !ok && target != "" {
				l.fail(given.at("publish.targets["+strconv.Itoa(i)+"]"), "no target is named "+quote(target), didYouMean(target, sortedKeys(p.Targets), "declare it under targets in "+projectFile))
			}
		}
	}
	for _, t := range p.Images {
		l.lineage(t, first)
	}
	l.circles(p, first)
}

// lineage checks a template against the one that it starts from, where the project has that one.
func (l *loader) lineage(t bake.Template, byName map[string]bake.Template) {
	if parent, ok := byName[t.ParentName()]; ok && t.ParentName() != "" && parent.Arch != t.Arch && parent.Arch != "" && t.Arch != "" {
		l.fail(l.given[t.File].at("source.image"), fmt.Sprintf("%s is for %s, and %s is for %s", parent.Name, parent.Arch, t.Name, t.Arch),
			"write the same arch in both")
	}
}

func (l *loader) fail(pos bake.Position, text, hint string) {
	l.errs = append(l.errs, Error{pos, text, hint})
}

// circles reports images that start from themselves, each circle once, at its first member. [bake.NewPlan] refuses them,
// too, but stops at the first and does not say where.
func (l *loader) circles(p *Project, byName map[string]bake.Template) {
	reported := map[string]bool{}
	for _, t := range p.Images {
		circle := []string{t.Name}
		for at := t; len(circle) <= len(p.Images); circle = append(circle, at.Name) {
			next, ok := byName[at.ParentName()]
			if !ok || !strings.Contains(at.Source.Image, "@") || reported[at.Name] {
				break
			}
			if at = next; at.Name != t.Name {
				continue
			}
			for _, name := range circle {
				reported[name] = true
			}
			l.fail(l.given[t.File].at("source.image"), "images go round in a circle: "+strings.Join(append(circle, t.Name), " → "),
				"give one of them another source")
			break
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
