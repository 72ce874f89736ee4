package bake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Commit is the state of source control that an image is baked from.
type Commit struct {
	Dir    string // absolute path of the work tree
	Hash   string // full
	Short  string // as git abbreviates it
	Repo   string // address of origin without credentials; empty where there is none
	Author string // Ada <ada@example.com>, as git has it
	Dirty  bool   // the work tree has changes that are not in the commit, or files that git neither knows nor ignores
}

// ReadCommit asks git about the work tree that dir lies in.
func ReadCommit(ctx context.Context, dir string) (Commit, error) {
	out, err := git(ctx, dir, "rev-parse", "--show-toplevel", "HEAD", "--short", "HEAD")
	if err != nil {
		return Commit{}, explainGit(dir, err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 {
		return Commit{}, fmt.Errorf("git rev-parse in %s: cannot read %q", dir, out)
	}
	c := Commit{Dir: filepath.FromSlash(lines[0]), Hash: lines[1], Short: lines[2]}
	status, err := git(ctx, dir, "status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none")
	if err != nil {
		return Commit{}, err
	}
	c.Dirty = status != ""
	author, err := git(ctx, dir, "show", "--no-patch", "--no-show-signature", "--format=%an <%ae>", "HEAD", "--") // %a: as the commit has it, whatever .mailmap says
	if err != nil {
		return Commit{}, err
	}
	c.Author = strings.TrimSpace(author)
	if origin, err := git(ctx, dir, "config", "--get", "remote.origin.url"); err == nil {
		c.Repo = withoutCredentials(strings.TrimSpace(origin))
	}
	return c, nil
}

// git runs git to read. It takes no optional locks, so that a build under sudo leaves no file of root in the index, and
// starts no file system monitor, which is a program that the repository chooses.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "--no-optional-locks", "-c", "core.fsmonitor=false"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C") // explainGit reads what it says
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func explainGit(dir string, err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: git is not installed: images are baked from source control: install git", ErrInvalid)
	case strings.Contains(text, "not a git repository"):
		return fmt.Errorf("%w: %s is not in a git repository: images are baked from source control: "+
			"run git init, git add and git commit first", ErrInvalid, dir)
	case strings.Contains(text, "dubious ownership"): // under sudo git itself trusts the folders of the user who called it
		return fmt.Errorf("%w: %s belongs to another user, so git does not trust it: run iibake as that user, by sudo if it must be root, "+
			"or run git config --global --add safe.directory %s", ErrInvalid, dir, dir)
	case strings.Contains(text, "unknown revision"), strings.Contains(text, "Needed a single revision"), strings.Contains(text, "ambiguous argument 'HEAD'"):
		return fmt.Errorf("%w: the git repository of %s has no commit yet: run git add and git commit first", ErrInvalid, dir)
	}
	return err
}

// withoutCredentials cuts what stands before the host of an address with a scheme, also where the password has characters
// that do not belong there. An address of the form host:path, as ssh knows it, carries no password.
func withoutCredentials(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	authority, _, _ := strings.Cut(rest, "/")
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	return scheme + "://" + host + rest[len(authority):]
}

// Version is the version of an image: the day it was baked, a count within that day and the commit. It sorts by age, and is
// legal in an AMI name, a Debian version and a file name.
type Version struct {
	Day   time.Time // UTC; only the date counts
	N     int       // counts the images of one name and day from one
	Short string    // abbreviated commit
	Dirty bool
}

const versionDay = "2006.01.02"

// String returns for example 2026.11.22-1-gabc1234, or 2026.11.22-1-gabc1234-dirty.
func (v Version) String() string {
	s := fmt.Sprintf("%s-%d-g%s", v.Day.Format(versionDay), v.N, v.Short)
	if v.Dirty {
		s += "-dirty"
	}
	return s
}

// ParseVersion reads what String wrote.
func ParseVersion(s string) (Version, error) {
	rest, dirty := strings.CutSuffix(s, "-dirty")
	if parts := strings.Split(rest, "-"); len(parts) == 3 {
		day, _ := time.Parse(versionDay, parts[0])
		n, _ := strconv.Atoi(parts[1])
		v := Version{Day: day, N: n, Short: strings.TrimPrefix(parts[2], "g"), Dirty: dirty}
		if v.String() == s && n > 0 && v.Short != "" && strings.Trim(v.Short, hexDigits) == "" {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("%w version %q: want for example 2026.11.22-1-gabc1234", ErrInvalid, s)
}

// Compare orders versions by day and count.
func (v Version) Compare(other Version) int {
	return cmp.Or(v.Day.Compare(other.Day), cmp.Compare(v.N, other.N), strings.Compare(v.Short, other.Short))
}

// NextVersion returns the version of an image of name that is baked from c now.
func (v Images) NextVersion(ctx context.Context, name string, c Commit, now time.Time) (Version, error) {
	next := Version{Day: now.UTC().Truncate(day), N: 1, Short: c.Short, Dirty: c.Dirty}
	keys, err := v.c.List(ctx, imagesPrefix+name+"/"+next.Day.Format(versionDay)+"-")
	if err != nil {
		return Version{}, fmt.Errorf("versions of %s: %w", name, err)
	}
	for _, key := range keys {
		if old, err := ParseVersion(key[strings.LastIndex(key, "/")+1:]); err == nil {
			next.N = max(next.N, old.N+1)
		}
	}
	return next, nil
}

// ReadEmail returns the address that git knows of whoever works in dir, or "" where it knows none.
func ReadEmail(ctx context.Context, dir string) string {
	out, err := git(ctx, dir, "config", "--get", "user.email")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}
