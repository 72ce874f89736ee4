package contract_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// python returns the interpreter of a virtual environment with what requirements.txt names, made once and kept in the user's cache.
func python(t *testing.T) string {
	t.Helper()
	wanted, err := os.ReadFile("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.CommandContext(t.Context(), "python3", "-VV").Output()
	if err != nil {
		t.Fatalf("python3: %v; scripts/test installs what is missing", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(version, wanted...))
	dir := filepath.Join(cache, "iibake", "python-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err != nil {
		makeEnvironment(t, dir)
	}
	return filepath.Join(dir, "bin", "python")
}

// makeEnvironment makes it aside: a folder that is there is complete, and two tests may do it at once.
func makeEnvironment(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	aside, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".") //nolint:usetesting // it must be where it is renamed to
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(aside) })
	for _, args := range [][]string{
		{"python3", "-m", "venv", aside},
		{filepath.Join(aside, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "-r", "requirements.txt"},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\nthis needs python3-venv and, once, the Python package index\n%s", args, err, out)
		}
	}
	if err := os.Rename(aside, dir); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		t.Fatal(err)
	}
}

// moto answers as moto does, and returns where.
func moto(t *testing.T, py string) string {
	t.Helper()
	port := freePort(t)
	start(t, port, exec.CommandContext(t.Context(), py, "-m", "moto.server", "-H", "127.0.0.1", "-p", port))
	return "http://127.0.0.1:" + port
}

// ministack answers as ministack does, and returns where.
func ministack(t *testing.T, py string) string {
	t.Helper()
	port := freePort(t)
	cmd := exec.CommandContext(t.Context(), py, "-m", "ministack")
	cmd.Env = append(plain(), "BIND_HOST=127.0.0.1", "GATEWAY_PORT="+port, "PERSIST_STATE=0", "STATE_DIR="+t.TempDir())
	start(t, port, cmd)
	return "http://127.0.0.1:" + port
}

// freePort returns a port below those that the kernel gives to whoever wants any: nobody comes to have it before the server does.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(20_000 + rand.IntN(12_000))
		if l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start runs a server until the end of the test, and returns when it listens.
func start(t *testing.T, port string, cmd *exec.Cmd) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Env == nil {
		cmd.Env = plain()
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed in the end
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = log.Close()
	})
	for deadline := time.Now().Add(10 * time.Minute); ; {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-ended:
			deadline = time.Time{}
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("%s does not listen: %v\n%s", cmd.Args, err, said)
		}
	}
}
