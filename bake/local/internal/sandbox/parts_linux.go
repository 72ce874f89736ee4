package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// mounted is a further filesystem of the disk.
type mounted struct {
	dev *os.File
	fs  filesystem
	at  string
}

// mounts returns where further filesystems of the disk are mounted.
func (m *image) mounts() []string {
	var at []string
	for _, p := range m.parts {
		at = append(at, p.at)
	}
	return at
}

// mountParts mounts the parts of the disk where the image itself would: a kernel that is upgraded goes to the /boot that boots.
func (m *image) mountParts(log func(string)) error {
	if len(m.disk.Others) == 0 {
		return nil
	}
	table, err := within.ReadFile(m.root, "/etc/fstab")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	parts, err := m.probeParts()
	if err != nil {
		return err
	}
	for _, entry := range parseFstab(string(table)) {
		if p := m.find(parts, entry.spec); p != nil {
			if err := m.mountPart(p, entry.dir, log); err != nil {
				return err
			}
		}
	}
	return nil
}

// candidate is a part with the names by which an fstab may call it.
type candidate struct {
	mounted
	names []string
}

func (m *image) probeParts() ([]candidate, error) {
	var parts []candidate
	for i, p := range m.disk.Others {
		dev := os.NewFile(fdLoop+1+uintptr(i), p.Dev)
		fs, err := probe(dev)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Dev, err)
		}
		c := candidate{mounted: mounted{dev: dev, fs: fs}}
		for kind, value := range map[string]string{"UUID": fs.uuid, "LABEL": fs.label, "PARTUUID": p.UUID, "PARTLABEL": p.Label} {
			if value != "" {
				c.names = append(c.names, kind+"="+value, "/dev/disk/by-"+strings.ToLower(kind)+"/"+value)
			}
		}
		parts = append(parts, c)
	}
	return parts, nil
}

// find returns the part that an fstab calls by a name. UUIDs are written in either case.
func (m *image) find(parts []candidate, spec string) *mounted {
	for i, p := range parts {
		if slices.ContainsFunc(p.names, func(name string) bool { return strings.EqualFold(name, spec) }) {
			return &parts[i].mounted
		}
	}
	return nil
}

func (m *image) mountPart(p *mounted, dir string, log func(string)) error {
	at, err := within.Locate(m.root, dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the image would not mount it either
	}
	if err != nil {
		return err
	}
	flags, options := p.fs.options(m.disk.ReadOnly)
	err = unix.Mount(p.dev.Name(), at, p.fs.kind, flags, options)
	if errors.Is(err, unix.ENODEV) && p.fs.kind == fat {
		log(dir + " is left alone: this machine's kernel does not know FAT; run modprobe vfat where it matters")
		return nil
	}
	if err != nil {
		return mountError(p.fs.kind, fmt.Errorf("%s: %w", dir, err))
	}
	m.known = append(m.known, at)
	m.undo = append(m.undo, func() error { return unmount(at) })
	p.at = at
	m.parts = append(m.parts, *p)
	return nil
}

// mountEntry is a line of an fstab.
type mountEntry struct{ spec, dir string }

// parseFstab returns what a machine mounts at boot below its root, outer folders first.
func parseFstab(table string) []mountEntry {
	var entries []mountEntry
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") || !path.IsAbs(f[1]) || path.Clean(f[1]) == "/" {
			continue
		}
		if slices.Contains(strings.Split(f[3], ","), "noauto") {
			continue
		}
		entries = append(entries, mountEntry{strings.ReplaceAll(f[0], `"`, ""), unescape(path.Clean(f[1]))})
	}
	slices.SortStableFunc(entries, func(a, b mountEntry) int { return strings.Count(a.dir, "/") - strings.Count(b.dir, "/") })
	return entries
}
