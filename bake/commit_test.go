package bake_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
)

// repository returns a git repository with one commit, in a folder whose name holds a space.
func repository(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my images")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	run(t, dir, "init", "-q")
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=n", "-c", "user.email=n@example.com", "commit", "-qm", "one")
	return dir
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", args, err, out)
	}
}

func TestReadCommit(t *testing.T) {
	dir := repository(t)
	run(t, dir, "remote", "add", "origin", "https://me:token@example.com/images.git")
	c, err := bake.ReadCommit(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dirty || len(c.Hash) != 40 || !strings.HasPrefix(c.Hash, c.Short) || filepath.Base(c.Dir) != "my images" {
		t.Errorf("got %+v", c)
	}
	if c.Repo != "https://example.com/images.git" {
		t.Errorf("repository %q holds more than its address", c.Repo)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = bake.ReadCommit(t.Context(), dir); err != nil || !c.Dirty {
		t.Errorf("an unknown file must make it dirty: %+v, %v", c, err)
	}
}

func TestReadCommitSaysWhatToDo(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	none := t.TempDir()
	if _, err := bake.ReadCommit(t.Context(), none); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "run git init") {
		t.Errorf("outside a repository: %v", err)
	}
	run(t, none, "init", "-q")
	if _, err := bake.ReadCommit(t.Context(), none); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "no commit yet") {
		t.Errorf("before the first commit: %v", err)
	}
}

// Under sudo the repository belongs to the user who called, and git runs as root.
func TestReadCommitOfAnotherUser(t *testing.T) {
	dir := repository(t)
	const user = 1000
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(p, user, user))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bake.ReadCommit(t.Context(), dir); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "safe.directory") {
		t.Errorf("without sudo: %v", err)
	}
	t.Setenv("SUDO_UID", "1000")
	if err := os.Chtimes(filepath.Join(dir, "a"), time.Unix(0, 0), time.Unix(0, 0)); err != nil { // git status would now like to write the index
		t.Fatal(err)
	}
	if _, err := bake.ReadCommit(t.Context(), dir); err != nil {
		t.Errorf("with sudo: %v", err)
	}
	left, err := exec.CommandContext(t.Context(), "find", dir, "-uid", "0").Output()
	if err != nil || len(left) != 0 {
		t.Errorf("files of root in the user's repository: %s%v", left, err)
	}
}
