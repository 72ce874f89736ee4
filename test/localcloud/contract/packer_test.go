package contract_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/daemon"
)

// TestPacker tells the story of testdata/packer.txtar, with the programs as they are shipped. It bootstraps Debian and boots two machines,
// one after the other.
func TestPacker(t *testing.T) {
	if testing.Short() {
		t.Skip("bootstraps Debian and boots machines")
	}
	path := []string{build(t), filepath.Dir(built(t, "packer"))}
	plugins := filepath.Dir(built(t, "packer-plugin-amazon"))
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/packer.txtar"},
		Setup: func(e *testscript.Env) error {
			for name, value := range map[string]string{
				"PATH":               strings.Join(append(path, os.Getenv("PATH")), string(os.PathListSeparator)),
				"PACKER_PLUGIN_PATH": plugins, "HOME": e.WorkDir, "IIBAKE_LOCAL_STATE": filepath.Join(e.WorkDir, "project", "state"),
				"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com",
				"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1", "TERM": "xterm",
				"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PAGER": "",
			} {
				e.Setenv(name, value)
			}
			e.Defer(func() { end(filepath.Join(e.WorkDir, "project", "state")) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"leaked": leaked},
	})
}

// build returns a folder with iibake as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "github.com/iibake/iibake/cmd/iibake")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // the machine runs it too, whatever its C library is
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// built returns the path of a program that scripts/test has built.
func built(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "iibake", "tools", "*", name))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s: scripts/test builds it", name, cache)
	}
	return found[len(found)-1]
}

// end ends a cloud that a story that failed has left running.
func end(state string) {
	if p, err := daemon.Find(state); err == nil {
		if process, err := os.FindProcess(p.PID); err == nil {
			_ = process.Kill()
		}
	}
}

// leaked prints the types of what is in a cloud: leaked FOLDER
func leaked(ts *testscript.TestScript, _ bool, args []string) {
	p, err := daemon.Find(filepath.Join(ts.Getenv("WORK"), args[0]))
	ts.Check(err)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.Endpoint+admin.Prefix+"leaked", nil)
	ts.Check(err)
	answer, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer func() { _ = answer.Body.Close() }()
	var all []admin.Resource
	ts.Check(json.NewDecoder(answer.Body).Decode(&all))
	for _, r := range all {
		_, err := fmt.Fprintln(ts.Stdout(), r.Type)
		ts.Check(err)
	}
}
