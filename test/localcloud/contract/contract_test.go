package contract_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/iibake/iibake/test/localcloud"
)

var update = flag.Bool("update", false, "rewrite DIFFERENCES.md")

// ours is the endpoint that every case must hold for. For the others a case only says what they do.
const ours = "iibake"

// result is what came of a case at an endpoint; runner.py writes it.
type result struct {
	File     string `json:"file"`
	Case     string `json:"case"`
	Endpoint string `json:"endpoint"`
	Wrong    string `json:"wrong"` // at length; empty where the case holds
	Brief    string `json:"brief"` // the same in every run
}

// TestContract holds the cases against the local cloud, and records what other emulators make of them.
func TestContract(t *testing.T) {
	py := python(t)
	endpoints := []string{ours + "=" + serve(t), "moto=" + moto(t, py), "ministack=" + ministack(t, py)}
	results := run(t, py, endpoints)
	for _, r := range results {
		if r.Endpoint != ours {
			continue
		}
		t.Run(r.File+"/"+r.Case, func(t *testing.T) {
			if r.Wrong != "" {
				t.Error(r.Wrong)
			}
		})
	}
	checkDifferences(t, results)
}

// serve answers as a simulated cloud whose clock only the cases move, and returns where.
func serve(t *testing.T) string {
	t.Helper()
	cloud, err := localcloud.New(localcloud.Config{Simulate: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cloud.Serve(t.Context(), l) }()
	t.Cleanup(func() { // the context of the test is done by now
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// run has runner.py try all cases, and returns what came of them.
func run(t *testing.T, py string, endpoints []string) []result {
	t.Helper()
	args := slices.Concat([]string{"runner.py"}, endpoints, []string{"--"}, files(t))
	cmd := exec.CommandContext(t.Context(), py, args...)
	cmd.Env = plain()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("runner.py: %v\n%s", err, stderr.Bytes())
	}
	var results []result
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		results = append(results, r)
	}
	return results
}

// files are those of the cases, in order.
func files(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("cases/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no cases", err)
	}
	slices.Sort(names)
	return names
}

// plain is the environment without what would point a client of AWS elsewhere.
func plain() []string {
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool { return len(pair) > 4 && pair[:4] == "AWS_" })
	return append(env, "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1")
}
