package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// user makes an account, or changes it to what the step says.
func (r runner) user(ctx context.Context, u bake.User) error {
	_, exists, err := lookup(r.Root, "/etc/passwd", u.Name)
	if err != nil {
		return err
	}
	for _, group := range u.Groups {
		if err := r.run(ctx, "groupadd", "-f", "--", group); err != nil {
			return err
		}
	}
	argv := userMod(u)
	if !exists {
		argv = r.userAdd(u)
	}
	if len(argv) > 2 { // usermod with nothing to change is an error
		if err := r.run(ctx, append(argv, "--", u.Name)...); err != nil {
			return err
		}
	}
	if u.Sudo {
		if err := r.sudo(ctx, u.Name); err != nil {
			return err
		}
	}
	return r.keys(u)
}

// userAdd returns the call that makes an account. Nobody knows its password; * and not !, which locks keys out as well.
func (r runner) userAdd(u bake.User) []string {
	argv := []string{"useradd", "-p", "*"}
	switch {
	case !u.System, u.Home != "":
		argv = append(argv, "-m")
	default:
		argv = append(argv, "-M")
	}
	if u.System {
		argv = append(argv, "-r")
	}
	if u.Shell == "" && !u.System && r.Has("bash") {
		u.Shell = "/bin/bash"
	}
	if u.Shell == "" && u.System {
		u.Shell = "/usr/sbin/nologin"
	}
	return append(argv, accountOptions(u)...)
}

func userMod(u bake.User) []string {
	argv := []string{"usermod"}
	if len(u.Groups) > 0 {
		argv = append(argv, "-a")
	}
	return append(argv, accountOptions(u)...)
}

func accountOptions(u bake.User) []string {
	var options []string
	if u.UID != nil {
		options = append(options, "-u", strconv.Itoa(*u.UID))
	}
	if u.Home != "" {
		options = append(options, "-d", u.Home)
	}
	if u.Shell != "" {
		options = append(options, "-s", u.Shell)
	}
	if len(u.Groups) > 0 {
		options = append(options, "-G", strings.Join(u.Groups, ","))
	}
	return options
}

const sudoers = "/etc/sudoers.d"

// sudo lets a user become root. A broken file would lock everybody out of sudo, so visudo looks at it first.
func (r runner) sudo(ctx context.Context, name string) error {
	if _, err := within.Locate(r.Root, sudoers); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w user %s: sudo needs the package sudo: install it in an earlier step", bake.ErrInvalid, name)
	}
	rule := []byte(name + " ALL=(ALL:ALL) NOPASSWD: ALL\n")
	if r.Has("visudo") {
		if err := r.place("/tmp/iibake-sudoers", rule, 0o440, owner{}); err != nil {
			return err
		}
		if err := r.run(ctx, "visudo", "-c", "-q", "-f", "/tmp/iibake-sudoers"); err != nil {
			return err
		}
	}
	// sudo skips files with a dot in their name.
	return r.place(path.Join(sudoers, "90-iibake-"+strings.ReplaceAll(name, ".", "_")), rule, 0o440, owner{})
}

// keys lets the holders of the keys, and nobody else, log in.
func (r runner) keys(u bake.User) error {
	if len(u.Keys) == 0 {
		return nil
	}
	a, found, err := lookup(r.Root, "/etc/passwd", u.Name)
	if err != nil {
		return err
	}
	if !found || a.home == "" || a.home == "/nonexistent" {
		return fmt.Errorf("%w user %s: ssh_keys need a home: give it one", bake.ErrInvalid, u.Name)
	}
	dir := path.Join(a.home, ".ssh")
	err = within.MkdirAll(r.Root, dir, func(f *os.File) error {
		return errors.Join(f.Chown(a.uid, a.gid), f.Chmod(0o700))
	})
	if err != nil {
		return err
	}
	return r.place(path.Join(dir, "authorized_keys"), []byte(strings.Join(u.Keys, "\n")+"\n"), 0o600, a.owner)
}

// place writes a file of the image, unless it is there already as it should be.
func (r runner) place(name string, content []byte, mode uint32, o owner) error {
	if have, err := within.ReadFile(r.Root, name); err == nil && string(have) == string(content) && r.stands(name, mode, o) {
		return nil
	}
	f, err := within.Open(r.Root, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Chown(o.uid, o.gid), syscall.Fchmod(int(f.Fd()), mode), f.Close())
}

// stands reports whether a file has its owner and its mode: sshd and sudo ignore one that others may write to.
func (r runner) stands(name string, mode uint32, o owner) bool {
	info, err := copier{root: r.Root}.stat(name)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && copier{owner: o}.owns(info) && st.Mode&0o7777 == mode
}
