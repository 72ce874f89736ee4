package provision_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/provision"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

// TestCopyOfOddNames: what git can hold, an image can.
func TestCopyOfOddNames(t *testing.T) {
	long := strings.Repeat("ä", 127) + "x" // 255 bytes, the most that there can be
	files := sandboxtest.Files{
		"tree/" + long: "long", "tree/two\nlines": "newline", "tree/a b": "space", "tree/-rf": "dash", "tree/日本/語": "wide", "tree/empty": "", "tree/none/": "",
		"tree/.iibake-0-x": "ours?", "tree/.iibake-0-y": "->ours?", "tree/x": "x", "tree/y": "->x", // as files are called while they are written
		"tree/a\\b": "backslash", "tree/.gitignore": "kept", "tree/sub/.git/config": "dropped",
	}
	b := newBench(t, files)
	b.must(bake.Step{Copy: &bake.Copy{From: "tree/", To: "/srv/tree"}})
	var script, want strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != "tree/none/" && !strings.Contains(name, "/.git/") {
			at := "'/srv/" + name + "'"
			script.WriteString("readlink " + at + " || echo \"$(cat " + at + ")\";")
			want.WriteString(strings.TrimPrefix(files[name], "->") + "\n")
		}
	}
	b.want(script.String()+"ls -A /srv/tree/none /srv/tree/sub; ls -A /srv/tree | wc -l", want.String()+"/srv/tree/none:\n\n/srv/tree/sub:\n14")
}

// TestCopySeesEveryChange: what is there already is not written, and nothing else is taken for that. The files are compared in pieces of
// 128 KiB.
func TestCopySeesEveryChange(t *testing.T) {
	const piece = 128 << 10
	b := newBench(t, nil)
	step := bake.Step{Copy: &bake.Copy{From: "big", To: "/big"}}
	content := bytes.Repeat([]byte("0123456789abcdef"), (2*piece+48)/16)
	for _, change := range []struct {
		name string
		make func()
	}{
		{"at first", func() {}},
		{"the first byte", func() { content[0] ^= 1 }},
		{"the last byte of a piece", func() { content[piece-1] ^= 1 }},
		{"the first byte of the next", func() { content[piece] ^= 1 }},
		{"the last byte", func() { content[len(content)-1] ^= 1 }},
		{"shorter by a byte", func() { content = content[:len(content)-1] }},
		{"whole pieces", func() { content = content[:2*piece] }},
		{"the last byte of whole pieces", func() { content[len(content)-1] ^= 1 }},
		{"nothing in it", func() { content = nil }},
	} {
		change.make()
		if err := os.WriteFile(filepath.Join(b.repo, "big"), content, 0o644); err != nil {
			t.Fatal(err)
		}
		b.must(step)
		if sum := look(t, b.disk, "sha256sum < /big | cut -d' ' -f1"); "sha256:"+sum != string(bake.DigestOf(content)) {
			t.Errorf("%s: the image has something else", change.name)
		}
	}
}

// TestCopyModes: without a mode a file has that of git, with one it has that, bits for other users' rights included, whoever owns it.
func TestCopyModes(t *testing.T) {
	b := newBench(t, sandboxtest.Files{"tool": "x", "plain": "x"})
	if err := errors.Join(os.Chmod(filepath.Join(b.repo, "tool"), 0o710), os.Chmod(filepath.Join(b.repo, "plain"), 0o600)); err != nil {
		t.Fatal(err)
	}
	const state = "stat -c '%n %a %u:%g' /opt/*"
	for _, c := range []struct {
		copy bake.Copy
		want string
	}{
		{bake.Copy{From: "tool", To: "/opt/"}, "/opt/tool 755 0:0"}, // git knows no more than that it is executable
		{bake.Copy{From: "tool", To: "/opt/", Mode: 0o4755, Owner: "33"}, "/opt/tool 4755 33:33"},
		{bake.Copy{From: "tool", To: "/opt/", Mode: 0o4755, Owner: "www-data:root"}, "/opt/tool 4755 33:0"}, // a new owner takes the bit away
		{bake.Copy{From: "tool", To: "/opt/", Mode: 0o1, Owner: "1:2"}, "/opt/tool 1 1:2"},
		{bake.Copy{From: "plain", To: "/opt/tool"}, "/opt/tool 644 0:0"},
	} {
		b.must(bake.Step{Copy: &c.copy})
		b.want(state, c.want)
	}
}

// TestCopyOfLinks: a link below a folder is put right as a file is, and takes the place of a file and the reverse.
func TestCopyOfLinks(t *testing.T) {
	b := newBench(t, sandboxtest.Files{"links/l": "->target one", "file": "content", "broken/l": "->/nowhere"})
	const state = "stat -c '%F %u:%g' /srv/l; readlink /srv/l || cat /srv/l"
	link := func(owner string) bake.Step {
		return bake.Step{Copy: &bake.Copy{From: "links/", To: "/srv", Owner: owner}}
	}
	b.must(link("root"))
	b.want(state, "symbolic link 0:0\ntarget one")
	inode := look(t, b.disk, "stat -c '%i %Z' /srv/l")
	b.must(link("root"))
	b.want("stat -c '%i %Z' /srv/l", inode)
	b.must(link("33"))
	b.want(state, "symbolic link 33:33\ntarget one")
	b.must(bake.Step{Copy: &bake.Copy{From: "broken/", To: "/srv"}})
	b.want(state, "symbolic link 0:0\n/nowhere")
	b.must(bake.Step{Copy: &bake.Copy{From: "file", To: "/srv/l"}})
	b.want(state, "regular file 0:0\ncontent")
	b.must(link("root"))
	b.want(state, "symbolic link 0:0\ntarget one")
	b.want("ls -A /srv | grep iibake || true", "")
}

// TestCopyRefusesWhatIsNoFile: a pipe in a repository is nothing that git holds, and reading it would wait for ever.
func TestCopyRefusesWhatIsNoFile(t *testing.T) {
	b := newBench(t, sandboxtest.Files{"d/a": "1"})
	if err := syscall.Mkfifo(filepath.Join(b.repo, "d", "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"d", "d/pipe"} {
		err := b.do(bake.Step{Copy: &bake.Copy{From: from, To: "/srv/" + from}})
		if err == nil || !strings.Contains(err.Error(), "copy d/pipe to /srv/d/pipe") || !strings.Contains(err.Error(), "neither a file nor a folder nor a link") {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// TestScriptSizes: a script is run whole or not at all.
func TestScriptSizes(t *testing.T) {
	const limit = 16 << 20
	b := newBench(t, nil)
	script := []byte("echo whole > /ran\nexit 0\n")
	for size, want := range map[int]string{limit: "", limit + 1: "script big.sh: it is larger than 16 MiB"} {
		big := append(bytes.Clone(script), bytes.Repeat([]byte("#"), size-len(script))...)
		if err := os.WriteFile(filepath.Join(b.repo, "big.sh"), big, 0o644); err != nil {
			t.Fatal(err)
		}
		err := b.do(bake.Step{Script: &bake.Script{File: "big.sh"}})
		switch {
		case want == "" && err != nil:
			t.Errorf("%d bytes: %v", size, err)
		case want != "" && (!errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), want)):
			t.Errorf("%d bytes: %v, want %s", size, err, want)
		}
	}
}

// TestScriptInterpreters: a script is run by what its first line says, by sh where it says nothing, also when it is empty.
func TestScriptInterpreters(t *testing.T) {
	b := newBench(t, sandboxtest.Files{
		"empty": "", "plain": "echo plain $0 $# \"$2\" >> /ran", "env": "#!/bin/busybox env\nno", "awk": "#!/bin/awk -f\nBEGIN { print \"awk\" >> \"/ran\" }\n",
		"space in name.sh": "#! /bin/sh -e\necho $LEVEL >> /ran\nfalse\necho never >> /ran\n",
	})
	b.must(bake.Step{Script: &bake.Script{File: "./empty"}})
	b.must(bake.Step{Script: &bake.Script{File: "plain", Args: []string{"-x", "a  'b' $HOME *", ""}}})
	b.must(bake.Step{Script: &bake.Script{File: "awk"}})
	if err := b.do(bake.Step{Script: &bake.Script{File: "space in name.sh"}}); err == nil {
		t.Error("a script that fails did not")
	}
	if err := b.do(bake.Step{Script: &bake.Script{File: "missing.sh"}}); err == nil || !strings.Contains(err.Error(), "missing.sh") {
		t.Errorf("got %v", err)
	}
	b.want("cat /ran", "plain /tmp/iibake/plain 3 a  'b' $HOME *\nawk\nstrict")
}

// TestTail: of a step's output the last thirty lines stand in its failure.
func TestTail(t *testing.T) {
	b := newBench(t, nil)
	for _, c := range []struct {
		script      string
		lines       int
		first, last string
	}{
		{"for i in $(seq 29); do echo $i; done; exit 1", 29, "1", "29"},
		{"for i in $(seq 100); do echo $i; done; exit 1", 30, "71", "100"},
		{"exit 1", 0, "", ""},
		{"printf 'no end of line'; exit 1", 1, "no end of line", "no end of line"},
	} {
		tail := tailOf(t, b.do(bake.Step{Run: c.script}))
		if len(tail) != c.lines || c.lines > 0 && (tail[0] != c.first || tail[len(tail)-1] != c.last) {
			t.Errorf("%s: got %q", c.script, tail)
		}
	}
}

func tailOf(t *testing.T, err error) []string {
	t.Helper()
	failure := (*provision.Failure)(nil)
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a failure", err)
	}
	return failure.Tail
}
