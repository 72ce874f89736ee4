package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	if code, ran := sandbox.Main(tasks()); ran {
		os.Exit(code)
	}
	if len(os.Args) > 1 && os.Args[1] == victim {
		panic(beVictim(os.Args[2], os.Args[3]))
	}
	if len(os.Args) > 1 && os.Args[1] == powerless {
		bePowerless(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func tasks() map[string]sandbox.Task {
	return map[string]sandbox.Task{
		"echo":  echo,
		"sh":    shell,
		"write": write,
		"read":  read,
		"entry": readEntry,
		"fail":  fail,
		"panic": func(context.Context, *sandbox.Env, json.RawMessage) (any, error) { panic("at the disco") },
		"hang": func(ctx context.Context, e *sandbox.Env, _ json.RawMessage) (any, error) {
			e.Log("begun")
			<-ctx.Done()
			return nil, nil
		},
	}
}

func echo(_ context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	e.Log("hello from " + strconv.Itoa(os.Getpid()))
	return input, nil
}

// shell runs a script in the image and returns its output.
func shell(ctx context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var script string
	if err := json.Unmarshal(input, &script); err != nil {
		return nil, err
	}
	return nil, e.Command(ctx, sandbox.Command{Argv: []string{"sh", "-ec", script}, Env: map[string]string{"GREETING": "hi"}})
}

func write(_ context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var files sandboxtest.Files
	if err := json.Unmarshal(input, &files); err != nil {
		return nil, err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(e.Root, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return len(files), nil
}

func read(_ context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var name string
	if err := json.Unmarshal(input, &name); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(e.Root, name))
	return string(b), err
}

func readEntry(_ context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var name string
	if err := json.Unmarshal(input, &name); err != nil {
		return nil, err
	}
	name = filepath.Join(e.Root, name)
	if target, err := os.Readlink(name); err == nil {
		return "->" + target, nil
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

func fail(context.Context, *sandbox.Env, json.RawMessage) (any, error) {
	return nil, fmt.Errorf("%w: by decree", bake.ErrRefused)
}

func busybox(t testing.TB) *os.File {
	t.Helper()
	return sandboxtest.Disk(t, 64<<20, sandboxtest.Busybox(t))
}

// sh runs a script in the image on disk and returns its lines.
func sh(t *testing.T, disk *os.File, script string) ([]string, error) {
	t.Helper()
	var lines []string
	err := sandbox.Run(t.Context(), sandbox.Job{
		Task: "sh", Root: &sandbox.Root{Disk: disk}, Input: script,
		Log: func(line string) { lines = append(lines, line) },
	}, nil)
	sandboxtest.NothingLeft(t)
	return lines, err
}

func mustSh(t *testing.T, disk *os.File, script string) []string {
	t.Helper()
	lines, err := sh(t, disk, script)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	return lines
}

// content reads a file of the image as it is on the disk, with nothing mounted over it.
func content(t *testing.T, disk *os.File, name string) (string, error) {
	t.Helper()
	var s string
	err := sandbox.Run(t.Context(), sandbox.Job{Task: "read", Root: &sandbox.Root{Disk: disk, ReadOnly: true}, Input: name}, &s)
	return s, err
}

// entry is content with links told apart: their target behind an arrow.
func entry(t *testing.T, disk *os.File, name string) string {
	t.Helper()
	var s string
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "entry", Root: &sandbox.Root{Disk: disk, ReadOnly: true}, Input: name}, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRunWithoutDisk(t *testing.T) {
	var lines []string
	var out map[string]int
	err := sandbox.Run(t.Context(), sandbox.Job{
		Task: "echo", Input: map[string]int{"answer": 42},
		Log: func(line string) { lines = append(lines, line) },
	}, &out)
	if err != nil || out["answer"] != 42 || !slices.Equal(lines, []string{"hello from 1"}) {
		t.Fatal(out, lines, err)
	}
}

func TestImageProgramsRun(t *testing.T) {
	disk := busybox(t)
	lines := mustSh(t, disk, `
		echo $GREETING $HOME $(hostname) $(id -u)
		echo out; echo err >&2; printf 'no end'
		test -c /dev/null && test -d /proc/1 && test -d /sys/block && test -c /dev/ptmx
		test -b /dev/disk/by-uuid/*
		head -c 3 /dev/zero | wc -c
		if echo 1 > /proc/sys/kernel/hostname; then exit 1; fi
		/usr/sbin/policy-rc.d || echo policy $?
		test -s /etc/resolv.conf && grep localhost /etc/hosts
	`)
	want := []string{"hi /root localhost 0", "out", "err", "no end3", "policy 101", "127.0.0.1 localhost", "::1 localhost"}
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "Read-only") })
	if !slices.Equal(lines, want) {
		t.Fatalf("%q", lines)
	}
}

func TestNothingOfTheSandboxIsOnTheDisk(t *testing.T) {
	files := sandboxtest.Busybox(t)
	files["etc/resolv.conf"] = "->../run/systemd/resolve/stub-resolv.conf"
	files["etc/default/grub.d/"] = ""
	disk := sandboxtest.Disk(t, 64<<20, files)
	mustSh(t, disk, `
		test -s /etc/resolv.conf
		GRUB_DEVICE=/dev/loop0 GRUB_DEVICE_UUID=x-y sh -c '. /etc/default/grub.d/*.cfg; test $GRUB_DEVICE = /dev/disk/by-uuid/x-y'
		echo x > /tmp/x; echo x > /var/tmp/x; echo x > /run/x; echo x > /var/cache/apt/x
		(sleep 1000 &) ; mount -t tmpfs none /root
		echo kept > /etc/kept
	`)
	for _, name := range []string{
		"tmp/x", "var/tmp/x", "run/x", "run/systemd", "var/cache/apt/x", "etc/hosts", "usr/sbin/policy-rc.d", "dev/null", "proc/1",
		strings.TrimPrefix(sandbox.GrubConfig, "/"),
	} {
		if _, err := content(t, disk, name); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := content(t, disk, "etc/kept"); s != "kept\n" {
		t.Error(s, err)
	}
	sandboxtest.NothingLeft(t)
}

func TestLentFiles(t *testing.T) {
	const before = "nameserver 192.0.2.1\n"
	for name, c := range map[string]struct {
		has, script string
		want        map[string]string // content, or link target, on the disk afterwards; "" for none
	}{
		"file":            {before, ":", map[string]string{"resolv.conf": before}},
		"none":            {"", ":", map[string]string{"resolv.conf": ""}},
		"link":            {"->other", ":", map[string]string{"resolv.conf": "->other"}},
		"link to memory":  {"->../run/x/y", ":", map[string]string{"resolv.conf": "->../run/x/y"}},
		"written":         {before, "echo new > /etc/resolv.conf", map[string]string{"resolv.conf": "new\n"}},
		"removed":         {before, "rm /etc/resolv.conf", map[string]string{"resolv.conf": ""}},
		"replaced":        {before, "echo new > /etc/n && mv /etc/n /etc/resolv.conf", map[string]string{"resolv.conf": "new\n", "n": ""}},
		"kept and linked": {before, "mv /etc/resolv.conf /etc/bak && ln -s a /etc/resolv.conf", map[string]string{"resolv.conf": "->a", "bak": before}},
	} {
		t.Run(name, func(t *testing.T) {
			files := sandboxtest.Busybox(t)
			if c.has != "" {
				files["etc/resolv.conf"] = c.has
			}
			disk := sandboxtest.Disk(t, 64<<20, files)
			mustSh(t, disk, "test -s /etc/resolv.conf; ! grep 192.0.2.1 /etc/resolv.conf;"+c.script)
			for name, want := range c.want {
				if got := entry(t, disk, "etc/"+name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if saved := entry(t, disk, "etc/.resolv.conf.iibake"); saved != "" {
				t.Error(saved)
			}
		})
	}
}

func TestLogsKeepTheirShape(t *testing.T) {
	disk := busybox(t)
	mustSh(t, disk, `
		mkdir -m 750 /var/log/nginx; echo secret > /var/log/nginx/access.log; chown 33:33 /var/log/nginx/access.log
		mkdir /var/log/old; echo 1 > /var/log/old/1; ln -s nginx /var/log/web; mkfifo /var/log/pipe
	`)
	lines := mustSh(t, disk, `
		stat -c '%n %a %u' /var/log/nginx; stat -c '%n %a %u %s' /var/log/nginx/access.log
		readlink /var/log/web; test ! -e /var/log/pipe; rm -r /var/log/old; chmod 700 /var/log/nginx
	`)
	want := []string{"/var/log/nginx 750 0", "/var/log/nginx/access.log 644 33 0", "nginx"}
	if !slices.Equal(lines, want) {
		t.Fatalf("%q", lines)
	}
	lines = mustSh(t, disk, "stat -c %a /var/log/nginx; ls /var/log")
	if want := []string{"700", "nginx", "web"}; !slices.Equal(lines, want) {
		t.Fatalf("%q", lines)
	}
}

func TestBareSeesTheDiskAsItIs(t *testing.T) {
	disk := busybox(t)
	err := sandbox.Run(t.Context(), sandbox.Job{
		Task: "write", Root: &sandbox.Root{Disk: disk}, Bare: true, Input: sandboxtest.Files{"tmp/x": "x"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := content(t, disk, "tmp/x"); s != "x" {
		t.Fatal(s, err)
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	disk := busybox(t)
	before := digest(t, disk)
	err := sandbox.Run(t.Context(), sandbox.Job{
		Task: "write", Root: &sandbox.Root{Disk: disk, ReadOnly: true}, Input: sandboxtest.Files{"etc/x": "x"},
	}, nil)
	if err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Fatal(err)
	}
	if digest(t, disk) != before {
		t.Fatal("the disk changed")
	}
	sandboxtest.NothingLeft(t)
}

func TestErrorsKeepTheirIdentity(t *testing.T) {
	err := sandbox.Run(t.Context(), sandbox.Job{Task: "fail"}, nil)
	if !errors.Is(err, bake.ErrRefused) || errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "by decree") {
		t.Fatal(err)
	}
}

func TestFailingProgramTellsItsLastLines(t *testing.T) {
	disk := busybox(t)
	_, err := sh(t, disk, "echo one; echo two; exit 3")
	if err == nil || err.Error() != "sh: exit status 3: two" {
		t.Fatal(err)
	}
	if _, err := sh(t, disk, "kill -9 $$"); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Fatal(err)
	}
}

// Secrets are hidden line by line: a line that is too long is cut between words, where it has any.
func TestLongLinesAreCutBetweenWords(t *testing.T) {
	disk := busybox(t)
	words := strings.Fields(strings.Join(mustSh(t, disk, `seq -w 10000 | tr '\n' ' '`), " "))
	if slices.ContainsFunc(words, func(w string) bool { return len(w) != 5 }) || len(words) != 10000 {
		t.Errorf("%d words", len(words))
	}
	if got := strings.Join(mustSh(t, disk, `seq -w 10000 | tr -d '\n'`), ""); got != strings.Join(words, "") {
		t.Errorf("%d bytes", len(got))
	}
}

func TestBrokenSandboxes(t *testing.T) {
	for task, want := range map[string]string{"panic": "at the disco", "nonesuch": `no task is named "nonesuch"`} {
		err := sandbox.Run(t.Context(), sandbox.Job{Task: task, Root: &sandbox.Root{Disk: busybox(t)}}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", task, err)
		}
		sandboxtest.NothingLeft(t)
	}
}

func TestDiskWithoutFilesystem(t *testing.T) {
	disk, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	if err := disk.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	err = sandbox.Run(t.Context(), sandbox.Job{Task: "echo", Root: &sandbox.Root{Disk: disk}}, nil)
	if !errors.Is(err, bake.ErrInvalid) {
		t.Fatal(err)
	}
	sandboxtest.NothingLeft(t)
}

func TestCancelEndsEverything(t *testing.T) {
	disk := busybox(t)
	for _, task := range []string{"hang", "sh"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		err := sandbox.Run(ctx, sandbox.Job{
			Task: task, Root: &sandbox.Root{Disk: disk}, Input: "echo begun; while :; do sleep 100 & done",
			Log: func(line string) {
				if line == "begun" {
					cancel(enough)
				}
			},
		}, nil)
		if cancel(nil); !errors.Is(err, enough) {
			t.Fatal(err)
		}
		sandboxtest.NothingLeft(t)
	}
}

func TestGuestDiskFull(t *testing.T) {
	disk := busybox(t)
	_, err := sh(t, disk, "cat /dev/zero > /root/big")
	if !errors.Is(err, sandbox.ErrGuestFull) || !strings.Contains(err.Error(), "it has 64MiB: raise disk_size") {
		t.Fatal(err)
	}
	if errors.Is(err, sandbox.ErrHostFull) {
		t.Fatal(err)
	}
}

func TestOffset(t *testing.T) {
	part := busybox(t)
	whole, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = whole.Close() }()
	if _, err := whole.Seek(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := part.WriteTo(whole); err != nil {
		t.Fatal(err)
	}
	if err := whole.Truncate(80 << 20); err != nil {
		t.Fatal(err)
	}
	root := &sandbox.Root{Disk: whole, Offset: 1 << 20, Size: 64 << 20}
	var s string
	if err := sandbox.Run(t.Context(), sandbox.Job{Task: "read", Root: root, Input: "etc/group"}, &s); err != nil || s == "" {
		t.Fatal(s, err)
	}
	sandboxtest.NothingLeft(t)
}

func digest(t *testing.T, f *os.File) bake.Digest {
	t.Helper()
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	d, err := bake.DigestReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func BenchmarkRun(b *testing.B) {
	for name, job := range map[string]sandbox.Job{
		"furnished": {Root: &sandbox.Root{}}, "bare": {Root: &sandbox.Root{}, Bare: true},
		"readonly": {Root: &sandbox.Root{ReadOnly: true}}, "nodisk": {},
	} {
		b.Run(name, func(b *testing.B) {
			job.Task = "echo"
			if job.Root != nil {
				job.Root.Disk = busybox(b)
			}
			for b.Loop() {
				if err := sandbox.Run(b.Context(), job, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
