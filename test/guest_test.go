package test_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/test"
)

// guestLine is a line of what the program in the machine answers.
type guestLine struct {
	Begin  string       `json:"begin"`
	End    string       `json:"end"`
	Result *test.Result `json:"result"`
}

// inspectHere runs the program for the machine on this one.
func inspectHere(t *testing.T, request map[string]any) []guestLine {
	t.Helper()
	input, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := test.GuestMain(t.Context(), bytes.NewReader(input), &out); err != nil {
		t.Fatal(err)
	}
	var all []guestLine
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var l guestLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		all = append(all, l)
	}
	return all
}

func statusOf(lines []guestLine, name string) (test.Status, string) {
	for _, l := range lines {
		if l.Result != nil && l.Result.Name == name {
			return l.Result.Status, l.Result.Detail
		}
	}
	return "", "not reported"
}

// goss itself is asked about this machine.
func TestGoss(t *testing.T) {
	t.Setenv("PATH", systemctl(t, "echo running"))
	dir := tree(t, map[string]string{"there": "some text"})
	lines := inspectHere(t, map[string]any{
		"limit": time.Minute, "goss": "tests/a.yaml",
		"files": map[string][]byte{
			"tests/a.yaml":        []byte("gossfile: {more/b.yaml: {}}\nfile:\n  " + dir + "/there: {exists: true, contents: [some]}\n"),
			"tests/more/b.yaml":   []byte("file:\n  /proc/1: {exists: true, title: the first, skip: true}\n"),
			"tests/more/not.yaml": []byte("not: included"),
		},
	})
	for name, want := range map[string]test.Status{
		"systemd":                                test.Pass,
		"goss: File " + dir + "/there: exists":   test.Pass,
		"goss: File " + dir + "/there: contents": test.Pass,
		"goss: File /proc/1: exists (the first)": test.Skip,
	} {
		if got, detail := statusOf(lines, name); got != want {
			t.Errorf("%s: got %q (%s), want %q", name, got, detail, want)
		}
	}
	if first, last := lines[0], lines[len(lines)-1]; first.Begin != "systemd" || last.End != "goss" {
		t.Errorf("from %+v to %+v", first, last)
	}
}

// Slow, for goss is asked until patience ends.
func TestGossFails(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what never comes")
	}
	t.Setenv("PATH", systemctl(t, "echo running"))
	lines := inspectHere(t, map[string]any{
		"limit": time.Minute, "goss": "a.yaml",
		"files": map[string][]byte{"a.yaml": []byte("file:\n  /nowhere: {exists: true}\n  /proc: {exists: true}\n")},
	})
	got, detail := statusOf(lines, "goss: File /nowhere: exists")
	if got != test.Fail || !strings.Contains(detail, "to equal") {
		t.Errorf("got %q, %q", got, detail)
	}
	if got, _ := statusOf(lines, "goss: File /proc: exists"); got != test.Pass {
		t.Errorf("got %q", got)
	}
}

func TestGossFileThatIsNone(t *testing.T) {
	t.Setenv("PATH", systemctl(t, "echo running"))
	for body, want := range map[string]string{"files: {}": "a.yaml: ", "": "found 0 tests", "gossfile: {nowhere.yaml: {}}": "nowhere.yaml"} {
		lines := inspectHere(t, map[string]any{"limit": time.Minute, "goss": "a.yaml", "files": map[string][]byte{"a.yaml": []byte(body)}})
		if got, detail := statusOf(lines, "goss"); got != test.Fail || !strings.Contains(detail, want) {
			t.Errorf("%q: got %q, %q, want %q", body, got, detail, want)
		}
	}
}

func TestGuestMainIsNotForPeople(t *testing.T) {
	err := test.GuestMain(t.Context(), strings.NewReader("help"), os.Stdout)
	if err == nil || !strings.Contains(err.Error(), "is for machines under test") {
		t.Errorf("got %v", err)
	}
}

// systemctl returns a PATH on which systemctl is a script. No test runs in a machine that systemd started.
func systemctl(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string]string{"systemctl": script, "journalctl": `echo "of $2"; echo "  because"`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir + ":" + os.Getenv("PATH")
}

func TestSystemd(t *testing.T) {
	const failing = `case "$1" in is-system-running) echo degraded; exit 1;; esac
echo "nginx.service loaded failed failed Web"; echo "a.mount loaded failed failed A"`
	for name, c := range map[string]struct {
		script  string
		allowed []string
		status  test.Status
		detail  string
	}{
		"running":        {"echo running", nil, test.Pass, "running"},
		"degraded":       {failing, nil, test.Fail, "failed units: nginx.service, a.mount\njournal of nginx.service:\n  of nginx.service\n    because\njournal of a.mount:\n"},
		"some allowed":   {failing, []string{"nginx"}, test.Fail, "failed units: a.mount\n"},
		"all allowed":    {failing, []string{"nginx", "a.mount"}, test.Pass, "units that may fail: nginx.service, a.mount"},
		"maintenance":    {"echo maintenance; exit 1", nil, test.Fail, "not running but maintenance"},
		"other init":     {"echo >&2 no bus; exit 1", nil, test.Fail, "not running but exit status 1: no bus"},
		"still starting": {`test "$1" = list-jobs && echo "5 slow.service start running" && exit; sleep 60`, nil, test.Fail, "still starting after 200ms; its jobs:\n5 slow.service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", systemctl(t, c.script))
			limit := time.Minute
			if name == "still starting" {
				limit = 200 * time.Millisecond
			}
			got := test.Systemd(t.Context(), c.allowed, limit)
			if len(got) != 1 || got[0].Status != c.status || !strings.Contains(got[0].Detail, c.detail) {
				t.Errorf("got %+v, want %s %q", got, c.status, c.detail)
			}
		})
	}
	t.Setenv("PATH", t.TempDir())
	if got := test.Systemd(t.Context(), nil, time.Minute); got[0].Status != test.Skip {
		t.Errorf("without systemd: %+v", got)
	}
}

func TestHygiene(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef\n"
	fresh := map[string]string{
		"proc/stat": "cpu 1 2 3\nbtime 1700000000\nprocesses 5\n", "etc/machine-id": id,
		"etc/ssh/ssh_host_ed25519_key": "key", "var/lib/cloud/instances/one/x": "",
	}
	for name, c := range map[string]struct {
		spoil func(root string) error
		fails []string
	}{
		"fresh":                   {func(string) error { return nil }, nil},
		"machine-id of the image": {age("/etc/machine-id"), []string{"hygiene: machine-id"}},
		"machine-id missing":      {remove("/etc/machine-id"), []string{"hygiene: machine-id"}},
		"machine-id not made":     {put("/etc/machine-id", "uninitialized\n"), []string{"hygiene: machine-id"}},
		"host key of the image":   {age("/etc/ssh/ssh_host_ed25519_key"), []string{"hygiene: host keys"}},
		"no host keys":            {remove("/etc/ssh/ssh_host_ed25519_key"), nil},
		"another instance":        {put("/var/lib/cloud/instances/two", ""), []string{"hygiene: cloud-init"}},
		"no services":             {put("/usr/sbin/policy-rc.d", "exit 101"), []string{"hygiene: services"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, fresh)
			if err := os.MkdirAll(root+"/usr/sbin", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(root); err != nil {
				t.Fatal(err)
			}
			var fails []string
			for _, r := range test.Hygiene(root) {
				if r.Status == test.Fail {
					fails = append(fails, r.Name)
				}
			}
			if !slices.Equal(fails, c.fails) {
				t.Errorf("got %v, want %v", fails, c.fails)
			}
		})
	}
	if got := test.Hygiene(t.TempDir()); len(got) != 1 || got[0].Status != test.Skip {
		t.Errorf("without a boot time: %+v", got)
	}
}

// age makes a file older than the boot.
func age(path string) func(root string) error {
	old := time.Unix(1690000000, 0)
	return func(root string) error { return os.Chtimes(root+path, old, old) }
}

func remove(path string) func(root string) error {
	return func(root string) error { return os.Remove(root + path) }
}

func put(path, body string) func(root string) error {
	return func(root string) error { return os.WriteFile(root+path, []byte(body), 0o600) }
}
