package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// policy is a policy-rc.d, by which maintainer scripts ask whether they may start a service. 101 is no.
const policy = "#!/bin/sh\nexit 101\n"

// lendFiles gives the image what its programs need while they run: the machine's resolver, a name for localhost, and a
// policy against starting services.
func (m *image) lendFiles() error {
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	hosts := []byte("127.0.0.1 localhost\n::1 localhost\n")
	if _, err := within.Locate(m.root, "/etc/hosts"); err == nil {
		hosts = nil // the image has its own
	}
	return errors.Join(
		m.lend("/etc/resolv.conf", resolver, 0o644),
		m.lend("/etc/hosts", hosts, 0o644),
		m.lend("/usr/sbin/policy-rc.d", []byte(policy), 0o755),
	)
}

// lend puts a file of the sandbox over one of the image. Where the image has none it gets an empty one until release.
func (m *image) lend(name string, content []byte, mode os.FileMode) error {
	if _, err := within.Locate(m.root, path.Dir(name)); err != nil || content == nil {
		return nil //nolint:nilerr // an image without the folder has no program that reads the file
	}
	lent := filepath.Join(path.Dir(m.root), path.Base(name))
	if err := os.WriteFile(lent, content, mode); err != nil {
		return err
	}
	at, made, err := provide(m.root, name)
	if err != nil {
		return fmt.Errorf("provide %s: %w", name, err)
	}
	if made {
		m.undo = append(m.undo, func() error { return os.Remove(at) })
	}
	return m.mount(lent, at, "", unix.MS_BIND, "")
}

const maxLinks = 8 // in a row; more of them go in a circle

// provide makes sure that a file is there, and returns where it lies and whether it was made. Folders are made only below
// /run, which is in memory.
func provide(root, name string) (at string, made bool, err error) {
	for range maxLinks {
		if at, err = within.Locate(root, name); !errors.Is(err, os.ErrNotExist) {
			return at, false, err
		}
		f, err := within.Open(root, name, unix.O_WRONLY|unix.O_CREAT, 0o644)
		if err == nil {
			_ = f.Close()
			at, err = within.Locate(root, name)
			return at, true, err
		}
		// A link that leads to a missing folder: follow it one step by hand.
		target, linkErr := within.Readlink(root, name)
		if linkErr != nil {
			return "", false, err
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		if name = path.Clean(target); strings.HasPrefix(name, "/run/") {
			if err := within.MkdirAll(root, path.Dir(name), nil); err != nil {
				return "", false, err
			}
		}
	}
	return "", false, fmt.Errorf("%s: too many links", name)
}
