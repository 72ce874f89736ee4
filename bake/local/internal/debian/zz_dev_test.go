package debian_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/debian"
)

func TestDev(t *testing.T) {
	f, err := os.Create("/tmp/F/x/go-" + os.Getenv("SUITE") + ".img")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err = debian.Bootstrap(t.Context(), f, debian.Spec{Debian: bake.Debian{Suite: os.Getenv("SUITE"), Mirror: "http://deb.debian.org/debian", Security: "http://deb.debian.org/debian-security", Components: []string{"main"}, Packages: strings.Fields(os.Getenv("PKGS"))}, Arch: "amd64", Seed: "dev", Size: 2 * bake.GiB}, func(s string) { t.Log(time.Since(start).Round(time.Millisecond*10), s) })
	t.Log(time.Since(start))
	if err != nil {
		t.Fatal(err)
	}
}
