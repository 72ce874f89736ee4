package local_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local"
)

// archive is a package archive whose content a test changes.
type archive struct {
	url      string
	mu       sync.Mutex
	packages string // the index
	down     bool
	date     int // of the release file, which changes it although nothing else does
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

func (a *archive) set(down bool, packages ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down, a.packages = down, ""
	a.date++
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		a.packages += fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\n\n", name, version)
	}
}

func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		w.WriteHeader(http.StatusForbidden)
	case strings.HasSuffix(r.URL.Path, "/dists/stable/InRelease"):
		_, _ = fmt.Fprintf(w, "Suite: stable\nDate: %d\nComponents: main\nSHA256:\n %x %d main/binary-amd64/Packages\n",
			a.date, sha256.Sum256([]byte(a.packages)), len(a.packages))
	case strings.HasSuffix(r.URL.Path, "/main/binary-amd64/Packages"):
		_, _ = w.Write([]byte(a.packages))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// status is what dpkg would have written for installed packages.
func status(packages ...string) string {
	var s strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&s, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", name, version)
	}
	return s.String()
}

// diskWith writes the small disk anew, with these packages installed from a.
func (k *kitchen) diskWith(t *testing.T, a *archive, packages ...string) {
	t.Helper()
	tree := t.TempDir()
	for name, content := range map[string]string{
		"var/lib/dpkg/status": status(packages...), "etc/apt/sources.list": "deb " + a.url + " stable main\n",
	} {
		if err := os.MkdirAll(filepath.Join(tree, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := "mkdir /var/lib/dpkg\nmkdir /etc/apt\n"
	for _, name := range []string{"var/lib/dpkg/status", "etc/apt/sources.list"} {
		script += "write " + filepath.Join(tree, name) + " /" + name + "\n"
	}
	cmd := exec.CommandContext(t.Context(), "debugfs", "-w", "-f", "-", filepath.Join(k.repo, "disk.raw"))
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestRefreshRebakesExactlyWhatMoved tells the nights of an image whose disk brings base=1 and whose step installs app=1.
func TestRefreshRebakesExactlyWhatMoved(t *testing.T) {
	k, a := newKitchen(t), newArchive(t)
	k.diskWith(t, a, "base=1")
	install := strings.ReplaceAll(status("app=1"), "\n", `\n`)
	tpl := k.template("web", run("printf '"+install+"' >> /var/lib/dpkg/status"))
	first := k.mustBake(t, tpl)
	refresh := func(c *local.Config) { c.Refresh = true }
	for _, night := range []struct {
		name, note string
		down       bool
		archive    []string
		rebaked    bool
	}{
		{name: "all is as it was", archive: []string{"base=1", "app=1"}, note: "no package of web"},
		{name: "only the disk's own package moved", archive: []string{"base=2", "app=1"}, note: "no package of web"},
		{name: "the step's package moved", archive: []string{"base=2", "app=1.5"}, note: "app 1 → 1.5", rebaked: true},
		{name: "the archive is as last night", archive: nil, note: "nothing moved"},
		{name: "an older version appears", archive: []string{"base=2", "app=0.9"}, note: "no package of web"},
	} {
		t.Run(night.name, func(t *testing.T) {
			if night.archive != nil {
				a.set(false, night.archive...)
			}
			k.events.tasks(bake.EventDone)
			img, err := k.bake(t.Context(), tpl, refresh)
			if rebaked := !errors.Is(err, bake.ErrUpToDate); rebaked != night.rebaked || rebaked && err != nil {
				t.Fatalf("got %v, %v", img.Ref, err)
			}
			if !strings.Contains(k.events.text(), night.note) {
				t.Fatalf("nobody said %q: %s", night.note, k.events.text())
			}
		})
	}
	if img := latest(t, k); img.Ref == first.Ref || img.Key == first.Key {
		t.Fatalf("the newest image is still %v", img.Ref)
	}
}

func latest(t *testing.T, k *kitchen) bake.Image {
	t.Helper()
	img, err := k.images.Latest(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestOnlyARefreshNeedsTheArchive(t *testing.T) {
	k, a := newKitchen(t), newArchive(t)
	k.diskWith(t, a, "base=1")
	a.set(true)
	tpl := k.template("web", run("true"))
	img := k.mustBake(t, tpl)
	if len(img.Archives) != 1 || img.Archives[0].URL != a.url {
		t.Fatalf("archives: %v", img.Archives)
	}
	if _, err := k.bake(t.Context(), tpl); !errors.Is(err, bake.ErrUpToDate) {
		t.Fatalf("without a refresh: %v", err)
	}
	_, err := k.bake(t.Context(), tpl, func(c *local.Config) { c.Refresh = true })
	if err == nil || errors.Is(err, bake.ErrUpToDate) || !strings.Contains(err.Error(), a.url) {
		t.Fatalf("with a refresh: %v", err)
	}
}

func TestRefreshAfterLooksByItself(t *testing.T) {
	k, a := newKitchen(t), newArchive(t)
	k.diskWith(t, a, "base=1")
	a.set(false, "base=1")
	tpl := k.template("web", run("true"))
	tpl.RefreshAfter = bake.Duration(time.Hour)
	at := func(minutes int) func(*local.Config) {
		now := time.Date(2026, 11, 22, 12, minutes, 0, 0, time.UTC)
		return func(c *local.Config) { c.Now = func() time.Time { return now } }
	}
	k.mustBake(t, tpl, at(0))
	for _, c := range []struct {
		minute int
		looks  bool
	}{{30, false}, {70, true}, {100, false}, {140, true}, {24 * 60, true}, {200, true}, {210, false}} { // the clock was a day ahead
		k.events.tasks(bake.EventDone)
		if _, err := k.bake(t.Context(), tpl, at(c.minute)); !errors.Is(err, bake.ErrUpToDate) {
			t.Fatalf("minute %d: %v", c.minute, err)
		}
		if looked := strings.Contains(k.events.text(), "Task:refresh"); looked != c.looks {
			t.Errorf("minute %d: looked %v", c.minute, looked)
		}
	}
}
