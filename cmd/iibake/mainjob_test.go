package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMainJob tells the story of the README with the program as it is shipped, on real input: Debian is bootstrapped,
// changed, sealed, booted and judged. It takes some minutes, most of them the boots where KVM does not work.
func TestMainJob(t *testing.T) {
	if testing.Short() {
		t.Skip("bootstraps Debian and boots machines")
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(bin, "iibake"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the machine runs it too, whatever its C library is
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/mainjob",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			return setup(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "json": isJSON},
	})
}
