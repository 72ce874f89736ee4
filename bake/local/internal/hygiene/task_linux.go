package hygiene

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// Task looks at the files of a mounted image.
func Task(ctx context.Context, e *sandbox.Env, raw json.RawMessage) (any, error) {
	w := &walker{root: e.Root, rules: rules(), findings: []Finding{}}
	err := json.Unmarshal(raw, &w.input)
	if err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(e.Root, &st); err != nil {
		return nil, err
	}
	w.all = st.Type == unix.BTRFS_SUPER_MAGIC // it compresses, and its addresses are not the disk's
	if w.dev, err = device(e.Root); err != nil {
		return nil, err
	}
	if w.owned, err = owned(ctx, e); err != nil {
		return nil, err
	}
	if err := w.shadow(); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(e.Root, w.visit)
	return w.findings, err
}

// walker collects findings.
type walker struct {
	input
	root     string
	all      bool   // nothing can be told from where the data of a file lies
	dev      uint64 // the root filesystem's
	rules    []rule
	owned    map[string]bool // files that packages brought, by canonical name
	findings []Finding
}

func (w *walker) add(name, what, fix string) {
	w.findings = append(w.findings, Finding{Path: name, What: what, Fix: fix})
}

func (w *walker) visit(at string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	name := "/" + strings.TrimPrefix(strings.TrimPrefix(at, w.root), "/")
	for _, r := range w.rules {
		if !r.matches(name) || d.IsDir() && !r.folders() || r.empty && harmless(at, d) {
			continue
		}
		w.add(name, r.what, r.fix)
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if !d.Type().IsRegular() || w.owned[canonical(name)] && !strings.HasPrefix(name, "/etc/") {
		return nil // as the package brought it; what somebody wrote over it is found by its block
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	return w.file(at, name, info)
}

// harmless reports whether a file that must be empty is: a folder or a link counts as such, and so does a machine-id that
// says that there is none yet.
func harmless(at string, d fs.DirEntry) bool {
	if !d.Type().IsRegular() {
		return true
	}
	info, err := d.Info()
	if err != nil || info.Size() == 0 || filepath.Base(at) != "machine-id" {
		return err == nil && info.Size() == 0
	}
	content, err := os.ReadFile(at)
	return err == nil && strings.TrimSpace(string(content)) == "uninitialized"
}

const maxSearch = 32 << 20 // bytes; in larger files secrets are only found by their block

// file judges a regular file that no rule forbids.
func (w *walker) file(at, name string, info fs.FileInfo) error {
	owned := w.owned[canonical(name)]
	if strings.HasPrefix(name, "/etc/") && info.Mode()&0o002 != 0 {
		w.add(name, "everybody may write to it", "chmod o-w "+name+" in a step")
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && setID(st.Mode) && !owned {
		w.add(name, "a set-user-id program that no package brought", "use sudo or capabilities, or chmod ug-s "+name)
	}
	if info.Size() == 0 || info.Size() > maxSearch {
		return nil
	}
	if suspect, err := w.suspect(at, name, info); err != nil || !suspect {
		return err
	}
	content, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	if what := secretIn(name, content); what != "" && !owned {
		w.add(name, what, "give it to the machine when it boots: user data, a secret store, an instance role")
	}
	for _, s := range w.Secrets {
		if bytes.Contains(content, []byte(s)) {
			w.add(name, "the value of a secret", leaveOut)
		}
	}
	return nil
}

// suspect reports whether the content of a file has to be looked at. Reading them all would take most of the time.
func (w *walker) suspect(at, name string, info fs.FileInfo) (bool, error) {
	if credentialFile(name) {
		return true, nil
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Dev != w.dev {
		return true, nil // on another filesystem, which the pages say nothing about
	}
	if w.all || len(w.Pages) == 0 {
		return w.all, nil
	}
	return liesIn(at, w.Pages)
}

// device returns the number of the filesystem that a file lies on.
func device(name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return 0, err
	}
	return st.Dev, nil
}

func setID(mode uint32) bool {
	return mode&unix.S_ISUID != 0 || mode&unix.S_ISGID != 0 && mode&unix.S_IXGRP != 0
}

// shadow looks for accounts that a password opens on every machine of the image.
func (w *walker) shadow() error {
	for _, name := range []string{"/etc/shadow", "/etc/shadow-"} {
		b, err := within.ReadFile(w.root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		known, none := passwords(string(b))
		for _, user := range known {
			w.add(name, "user "+user+" has a password, the same on every machine", "lock it with usermod -p '*' "+user+", and use SSH keys")
		}
		for _, user := range none {
			w.add(name, "user "+user+" needs no password to log in", "lock it with usermod -p '*' "+user)
		}
	}
	return nil
}

// owned returns the files that packages brought. An image without a package database owns none.
func owned(ctx context.Context, e *sandbox.Env) (map[string]bool, error) {
	lists, err := filepath.Glob(e.Root + "/var/lib/dpkg/info/*.list")
	if err != nil {
		return nil, err
	}
	files := map[string]bool{}
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			return nil, err
		}
		for name := range strings.Lines(string(b)) {
			files[canonical(strings.TrimSuffix(name, "\n"))] = true
		}
	}
	if len(lists) > 0 || !hasRPM(e.Root) {
		return files, nil
	}
	var out strings.Builder
	if err := e.Command(ctx, sandbox.Command{Argv: []string{"rpm", "-qal"}, Stdout: &out}); err != nil {
		return nil, err
	}
	for name := range strings.Lines(out.String()) {
		files[canonical(strings.TrimSuffix(name, "\n"))] = true
	}
	return files, nil
}

// hasRPM reports whether the image has a database of RPM packages, where either of its makers puts it.
func hasRPM(root string) bool {
	return slices.ContainsFunc([]string{"/var/lib/rpm", "/usr/lib/sysimage/rpm"}, func(dir string) bool {
		_, err := within.Locate(root, dir)
		return err == nil
	})
}

// canonical gives the two names that a file has where /bin and /lib are links into /usr one form.
func canonical(name string) string {
	for _, dir := range []string{"/bin/", "/sbin/", "/lib"} {
		if strings.HasPrefix(name, dir) {
			return "/usr" + name
		}
	}
	return name
}
