package machine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
)

// If the guest of the probe did not work, KVM would never be used, and nobody would notice.
func TestProbeRunsWhereItCan(t *testing.T) {
	if err := machine.Probe(t.Context(), "tcg", bake.AMD64, t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestProbeFailsWhereItCannot(t *testing.T) {
	if err := machine.Probe(t.Context(), "xen", bake.AMD64, t.TempDir()); err == nil {
		t.Error("a guest ran on Xen")
	}
}

// Whatever the host has: the probe's answer is what machines run with, and is kept.
func TestAcceleratorIsProbedOnce(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	want := "tcg"
	if _, err := os.Stat("/dev/kvm"); err == nil && machine.Probe(t.Context(), "kvm", bake.AMD64, t.TempDir()) == nil {
		want = "kvm"
	}
	disk := biosDisk(t, hang())
	if got := start(t, machine.Spec{Disk: disk}).Accelerator(); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	notes, err := filepath.Glob(cache + "/iibake/*")
	if err != nil || len(notes) > 1 {
		t.Fatalf("notes: %v, %v", notes, err)
	}
	for _, note := range notes { // none on a host without /dev/kvm
		text, err := os.ReadFile(note)
		if err != nil || !strings.HasSuffix(string(text), "\n"+want) {
			t.Errorf("note: %q, %v", text, err)
		}
		lie := strings.TrimSuffix(string(text), want) + "tcg"
		if err := os.WriteFile(note, []byte(lie), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := start(t, machine.Spec{Disk: disk}).Accelerator(); got != "tcg" {
			t.Errorf("the note was not used: %s", got)
		}
	}
}

// Under sudo --preserve-env the home is that of the user. A ~/.cache that root has made there would be one that the user cannot use.
func TestNotesOfRootAreNotAtTheUsers(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", home)
	if got, want := machine.NoteFolder(), filepath.Join(home, ".cache"); got != want {
		t.Errorf("in a home of our own: %s, want %s", got, want)
	}
	if err := os.Chown(home, os.Geteuid()+1, -1); err != nil {
		t.Fatal(err)
	}
	if got := machine.NoteFolder(); got != "/run" {
		t.Errorf("in that of somebody else: %s", got)
	}
	if err := os.Mkdir(filepath.Join(home, ".cache"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := machine.NoteFolder(); !strings.HasPrefix(got, home) {
		t.Errorf("in a cache of our own: %s", got)
	}
}
