package bake_test

import (
	"context"
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
	plainGit(t)
	run(t, dir, "init", "-q")
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=n", "-c", "user.email=n@example.com", "commit", "-qm", "one")
	return dir
}

// plainGit takes away what git is told by the environment of whoever runs the tests: sudo says SUDO_UID, and a hook of git GIT_DIR.
func plainGit(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "GIT_") || strings.HasPrefix(name, "SUDO_") {
			t.Setenv(name, value) // puts it back in the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
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
	if c.Dirty || len(c.Hash) != 40 || !strings.HasPrefix(c.Hash, c.Short) || filepath.Base(c.Dir) != "my images" || c.Author != "n <n@example.com>" {
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
	plainGit(t)
	none := t.TempDir()
	if _, err := bake.ReadCommit(t.Context(), none); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "run git init") {
		t.Errorf("outside a repository: %v", err)
	}
	run(t, none, "init", "-q")
	if _, err := bake.ReadCommit(t.Context(), none); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "no commit yet") {
		t.Errorf("before the first commit: %v", err)
	}
}

// What people configure for their own eyes changes nothing of what is read.
func TestReadCommitWhateverIsConfigured(t *testing.T) {
	dir := repository(t)
	signer := filepath.Join(t.TempDir(), "gpg")
	script := "#!/bin/sh\ncat > /dev/null\ncase $* in\n*--verify*) echo looks good >&2 ;;\n" +
		"*) printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nAAAA\\n-----END PGP SIGNATURE-----\\n'; echo '[GNUPG:] SIG_CREATED ' >&2 ;;\nesac\n"
	if err := errors.Join(os.WriteFile(signer, []byte(script), 0o700), os.WriteFile(filepath.Join(dir, "HEAD"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"gpg.program": signer, "log.showSignature": "true", "color.ui": "always", "status.showUntrackedFiles": "no", "core.quotePath": "false",
		"user.name": "n", "user.email": "n@example.com", "status.branch": "true",
	} {
		run(t, dir, "config", name, value)
	}
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-q", "-S", "-m", "a signed one, with a file HEAD")
	c, err := bake.ReadCommit(t.Context(), dir)
	if err != nil || c.Dirty || c.Author != "n <n@example.com>" {
		t.Errorf("got %+v, %v", c, err)
	}
}

// A submodule is part of what is baked, whatever its owner wants git to pass over.
func TestReadCommitLooksIntoSubmodules(t *testing.T) {
	module, dir := repository(t), repository(t)
	run(t, dir, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", module, "app")
	run(t, dir, "config", "--file", ".gitmodules", "submodule.app.ignore", "all")
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=n", "-c", "user.email=n@example.com", "commit", "-qm", "two")
	if c, err := bake.ReadCommit(t.Context(), dir); err != nil || c.Dirty {
		t.Fatalf("got %+v, %v", c, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "app", "a"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := bake.ReadCommit(t.Context(), dir); err != nil || !c.Dirty {
		t.Errorf("a changed file in it must make it dirty: %+v, %v", c, err)
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

func TestDirty(t *testing.T) {
	dir := repository(t)
	write(t, dir, ".gitignore", ".iibake/\n")
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=n", "-c", "user.email=n@example.com", "commit", "-qm", "two")
	for name, c := range map[string]struct {
		change []string
		want   bool
	}{
		"nothing":          {nil, false},
		"ignored file":     {[]string{"mkdir .iibake", "touch .iibake/journal"}, false},
		"new file":         {[]string{"touch b"}, true},
		"new file below":   {[]string{"mkdir sub", "touch sub/b"}, true},
		"changed file":     {[]string{"cp .gitignore a"}, true},
		"staged file":      {[]string{"cp .gitignore a", "git add a"}, true},
		"removed file":     {[]string{"rm a"}, true},
		"executable file":  {[]string{"chmod +x a"}, true},
		"newer time":       {[]string{"touch a"}, false},
		"empty folder":     {[]string{"mkdir empty"}, false},
		"another branch":   {[]string{"git checkout -q -b other"}, false},
		"no branch at all": {[]string{"git checkout -q --detach"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			clone := filepath.Join(t.TempDir(), "clone")
			run(t, dir, "clone", "-q", dir, clone)
			for _, line := range c.change {
				shell(t, clone, strings.Fields(line)...)
			}
			if got, err := bake.ReadCommit(t.Context(), clone); err != nil || got.Dirty != c.want {
				t.Errorf("got %+v and %v", got, err)
			}
		})
	}
}

func shell(t *testing.T, dir string, words ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", words, err, out)
	}
}

// TestReadCommitFromWithin asks in a folder of the repository and in a second work tree, where .git is a file.
func TestReadCommitFromWithin(t *testing.T) {
	dir := repository(t)
	want, err := bake.ReadCommit(t.Context(), dir)
	must(t, err)
	write(t, dir, ".git/info/exclude", "sub\n")
	write(t, dir, "sub/folder/file", "")
	got, err := bake.ReadCommit(t.Context(), filepath.Join(dir, "sub", "folder"))
	if err != nil || got != want {
		t.Errorf("got %+v and %v, want %+v", got, err, want)
	}
	second := filepath.Join(t.TempDir(), "second")
	run(t, dir, "worktree", "add", "-q", second)
	want.Dir = second
	if got, err = bake.ReadCommit(t.Context(), second); err != nil || got != want {
		t.Errorf("got %+v and %v, want %+v", got, err, want)
	}
}

func TestRepoHasNoCredentials(t *testing.T) {
	dir := repository(t)
	run(t, dir, "remote", "add", "origin", "x")
	for address, want := range map[string]string{
		"https://example.com/a.git":               "https://example.com/a.git",
		"https://token@example.com/a.git":         "https://example.com/a.git",
		"https://me:pa%ss@w@example.com:8443/a@b": "https://example.com:8443/a@b",
		"https://me:p%zz@[::1]:80/a.git":          "https://[::1]:80/a.git",
		"https://example.com":                     "https://example.com",
		"ssh://git@example.com:22/a.git":          "ssh://example.com:22/a.git",
		"git@example.com:a/b.git":                 "git@example.com:a/b.git",
		"/srv/git/a.git":                          "/srv/git/a.git",
		"../a.git":                                "../a.git",
		"file:///srv/git/me@home/a.git":           "file:///srv/git/me@home/a.git",
	} {
		run(t, dir, "remote", "set-url", "origin", address)
		if c, err := bake.ReadCommit(t.Context(), dir); err != nil || c.Repo != want {
			t.Errorf("%s: got %q and %v, want %q", address, c.Repo, err, want)
		}
	}
}

func TestReadCommitErrors(t *testing.T) {
	dir := repository(t)
	if _, err := bake.ReadCommit(t.Context(), filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no folder: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bake.ReadCommit(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := bake.ReadCommit(t.Context(), dir); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "install git") {
		t.Errorf("no git: got %v", err)
	}
}

func BenchmarkReadCommit(b *testing.B) {
	for b.Loop() {
		if _, err := bake.ReadCommit(b.Context(), "."); err != nil {
			b.Fatal(err)
		}
	}
}
