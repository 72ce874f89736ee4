package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local"
)

// only makes PATH a folder of these programs.
func only(t *testing.T, programs ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		for _, at := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
			if err := os.Symlink(filepath.Join(at, name), filepath.Join(dir, name)); err == nil {
				if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
					break
				}
				_ = os.Remove(filepath.Join(dir, name))
			}
		}
	}
	t.Setenv("PATH", dir)
}

// What is asked for is what is used, and nothing else.
func TestProgramsOfTheHost(t *testing.T) {
	k := newKitchen(t)
	tpl := k.template("web", run("true"))
	tpl.DiskSize = 96 * bake.MiB
	only(t)
	_, err := k.bake(t.Context(), tpl)
	if err == nil || !strings.HasSuffix(err.Error(), "e2fsck, qemu-img not found: install with apt-get install e2fsprogs qemu-utils") {
		t.Fatalf("without any: %v", err)
	}
	only(t, "e2fsck", "resize2fs", "qemu-img")
	if _, err := local.New(k.config()).Bake(t.Context(), tpl, k.events); err != nil {
		t.Error(err)
	}
}
