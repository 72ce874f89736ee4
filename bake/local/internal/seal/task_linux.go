package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// Task seals the mounted image.
func Task(_ context.Context, e *sandbox.Env, _ json.RawMessage) (any, error) {
	root, err := os.OpenRoot(e.Root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	s := sealer{root: root}
	if err := errors.Join(s.identity(), s.remove(), s.empty(), s.logs()); err != nil {
		return nil, err
	}
	if s.makesNoHostKeys() {
		e.Log("this image has an SSH server, but no cloud-init that makes its host keys: nobody can log in unless something else makes them")
	}
	for _, mount := range append(e.Others, e.Root) {
		// FAT can be trimmed by newer kernels only, and is hardly ever written to.
		if err := sandbox.Trim(mount); err != nil && (mount == e.Root || !errors.Is(err, unix.ENOTTY)) {
			return nil, err
		}
	}
	return nil, nil //nolint:nilnil // there is nothing to tell
}

// sealer changes an image. What is as it should be is not written to.
type sealer struct{ root *os.Root }

// doomed are patterns of files and folders that no image needs.
func doomed() []string {
	return []string{
		"etc/ssh/ssh_host_*",
		"etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
		"etc/udev/rules.d/70-persistent-*.rules",
		"etc/netplan/50-cloud-init.yaml", "etc/network/interfaces.d/50-cloud-init*",
		"etc/.resolv.conf.iibake", "etc/.hosts.iibake", "usr/sbin/.policy-rc.d.iibake",
		"root/.*history", "root/.lesshst", "root/.viminfo", "root/.wget-hsts",
		"home/*/.*history", "home/*/.lesshst", "home/*/.viminfo", "home/*/.wget-hsts",
		"var/lib/dhcp/*", "var/lib/dhclient/*", "var/lib/dhcpcd/*", "var/lib/NetworkManager/*lease*",
		"var/lib/NetworkManager/secret_key", "var/lib/NetworkManager/timestamps", "var/lib/systemd/network/*",
		"var/lib/systemd/random-seed", "var/lib/urandom/random-seed", "var/lib/systemd/credential.secret",
		"var/lib/systemd/timesync/clock", "boot/efi/loader/random-seed",
		"var/cache/debconf/*-old", "var/lib/dpkg/*-old",
		"var/log/*.gz", "var/log/*.xz", "var/log/*.[0-9]", "var/log/*.old", "var/log/journal/*", "var/log/installer",
		".dockerenv",
	}
}

// emptied are folders whose content goes, but for the folders named behind them.
func emptied() map[string][]string {
	return map[string][]string{
		"tmp": nil, "var/tmp": nil, "run": nil,
		"var/cache/apt": {"archives"}, "var/cache/apt/archives": {"partial"}, "var/cache/apt/archives/partial": nil,
		"var/lib/apt/lists": {"partial", "auxfiles"}, "var/lib/apt/lists/partial": nil, "var/lib/apt/lists/auxfiles": nil,
		"var/cache/dnf": nil, "var/cache/libdnf5": nil, "var/cache/yum": nil,
		"var/lib/cloud": {"seed", "scripts"}, // as cloud-init clean does, and scripts are the template's
	}
}

// identity empties machine-id. An empty file, unlike none, makes systemd choose one without taking the boot for the first
// of an installation: that would switch services on and off by their presets.
func (s sealer) identity() error {
	const id, dbus = "etc/machine-id", "var/lib/dbus/machine-id"
	if info, err := s.root.Lstat(dbus); err == nil && info.Mode().IsRegular() {
		if err := s.root.Remove(dbus); err != nil {
			return err
		}
	}
	info, err := s.root.Lstat(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := s.root.Stat("etc/systemd"); err != nil {
			return nil //nolint:nilerr // no systemd, no machine-id
		}
	case err != nil:
		return err
	case info.Mode().IsRegular() && info.Size() == 0:
		return nil
	case info.Mode()&fs.ModeSymlink != 0: // to another package's file, or one that is there at run time only
		if err := s.root.Remove(id); err != nil {
			return err
		}
	}
	return s.root.WriteFile(id, nil, 0o444)
}

func (s sealer) remove() error {
	for _, pattern := range doomed() {
		names, err := fs.Glob(s.root.FS(), pattern)
		if err != nil {
			return fmt.Errorf("%s: %w", pattern, err)
		}
		for _, name := range names {
			if err := s.root.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s sealer) empty() error {
	for dir, keep := range emptied() {
		// Behind a link there is a folder that is emptied under its own name, or none of ours.
		if info, err := s.root.Lstat(dir); err != nil || !info.IsDir() {
			continue
		}
		entries, err := fs.ReadDir(s.root.FS(), dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() && slices.Contains(keep, entry.Name()) {
				continue
			}
			if err := s.root.RemoveAll(path.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// logs empties what services logged. The files stay, with the owners and modes that their packages gave them.
func (s sealer) logs() error {
	if info, err := s.root.Lstat("var/log"); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // no folder, no logs
	}
	return fs.WalkDir(s.root.FS(), "var/log", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

func (s sealer) makesNoHostKeys() bool {
	has := func(name string) bool { _, err := s.root.Stat(name); return err == nil }
	return has("usr/sbin/sshd") && !has("etc/cloud/cloud.cfg")
}

// punch makes a hole in the disk file. What is less than a block of the machine's filesystem becomes zeros.
func punch(disk *os.File, at, n int64) error {
	return unix.Fallocate(int(disk.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n)
}
