package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/test/localcloud/daemon"
)

// TestMain plays the program that is started in the background: its argument says how it behaves, its working directory is the folder.
func TestMain(m *testing.M) {
	if !daemon.Started() {
		os.Exit(m.Run())
	}
	switch behaviour := os.Args[1]; behaviour {
	case "up", "deaf":
		run(behaviour)
	case "refuse":
		_ = daemon.TellStarter(daemon.Report{Error: "no", Hints: []string{"try"}, Code: 14})
		os.Exit(14)
	case "crash":
		fmt.Fprintln(os.Stderr, "panic: oh")
		os.Exit(2)
	case "hang":
		<-time.After(time.Hour) // a select without cases is a deadlock to the runtime, where nothing else runs
	}
	os.Exit(0)
}

func run(behaviour string) {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	withdraw, err := daemon.Announce(".", "http://127.0.0.1:1", map[string]int{"port": 1})
	if err == nil {
		err = daemon.TellStarter(daemon.Report{Endpoint: "http://127.0.0.1:1"})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := daemon.TellStarter(daemon.Report{Error: "told twice"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	<-ctx.Done()
	if behaviour == "deaf" {
		<-time.After(time.Hour) // a select without cases is a deadlock to the runtime, where nothing else runs
	}
	_ = withdraw()
}

// started starts a program that the test ends.
func started(t *testing.T, dir, behaviour string) daemon.Process {
	t.Helper()
	report, err := daemon.Start(t.Context(), dir, []string{behaviour})
	if err != nil || report.Error != "" {
		t.Fatal(report, err)
	}
	p, err := daemon.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background(), 0) })
	return p
}

func wantNone(t *testing.T, dir string) {
	t.Helper()
	if p, err := daemon.Find(dir); !errors.Is(err, daemon.ErrNotRunning) {
		t.Errorf("found %d, %v", p.PID, err)
	}
}

func TestStartAndStop(t *testing.T) {
	dir := t.TempDir()
	wantNone(t, dir)
	p := started(t, dir, "up")
	var settings map[string]int
	if err := json.Unmarshal(p.Settings, &settings); err != nil || settings["port"] != 1 || p.Endpoint != "http://127.0.0.1:1" || time.Since(p.Started) > time.Minute {
		t.Errorf("%+v %v", p, err)
	}
	if sid, _ := unix.Getsid(p.PID); sid != p.PID {
		t.Errorf("it is in session %d, not in one of its own", sid)
	}
	if err := p.Stop(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	wantNone(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "process.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left its announcement: %v", err)
	}
	if err := p.Stop(t.Context(), time.Minute); err != nil {
		t.Errorf("ended twice: %v", err)
	}
}

// One that does not listen is killed, and what it leaves fools nobody.
func TestStopKills(t *testing.T) {
	dir := t.TempDir()
	p := started(t, dir, "deaf")
	if err := p.Stop(t.Context(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	wantNone(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "process.json")); err != nil {
		t.Errorf("the test wants an announcement: %v", err)
	}
	started(t, dir, "up")
}

// A process that was given the number of a dead one is neither found nor ended.
func TestRecycledNumber(t *testing.T) {
	dir := t.TempDir()
	other := exec.CommandContext(t.Context(), "sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"pid": %d, "born": "long ago", "endpoint": "x"}`, other.Process.Pid)
	write(t, filepath.Join(dir, "process.json"), body)
	wantNone(t, dir)
	if err := (daemon.Process{PID: other.Process.Pid, Born: "long ago"}).Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("it was ended: %v", err)
	}
	_ = other.Process.Kill()
	_ = other.Wait()
}

func TestBrokenAnnouncement(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "process.json"), `{"pid": 1`)
	wantNone(t, dir)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStartTellsWhatWentWrong(t *testing.T) {
	dir := t.TempDir()
	report, err := daemon.Start(t.Context(), dir, []string{"refuse"})
	if err != nil || report.Error != "no" || report.Code != 14 || len(report.Hints) != 1 {
		t.Errorf("%+v %v", report, err)
	}
	if _, err = daemon.Start(t.Context(), dir, []string{"crash"}); err == nil || !strings.Contains(err.Error(), "panic: oh") || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = daemon.Start(ctx, dir, []string{"hang"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err = daemon.Start(t.Context(), filepath.Join(dir, "none"), []string{"up"}); err == nil {
		t.Error("started without a folder")
	}
	wantNone(t, dir)
}

// A log does not grow from start to start.
func TestLongLogIsPutAside(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, daemon.LogName)
	write(t, log, "old\n")
	if err := os.Truncate(log, 16<<20); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := daemon.Start(t.Context(), dir, []string{"crash"}); err == nil {
			t.Fatal("it did not crash")
		}
	}
	if text, err := os.ReadFile(log); err != nil || string(text) != "panic: oh\npanic: oh\n" {
		t.Errorf("%q %v", text, err)
	}
	if info, err := os.Stat(log + ".1"); err != nil || info.Size() != 16<<20 {
		t.Errorf("%v %v", info, err)
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	unlock, err := daemon.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		again, err := daemon.Lock(dir)
		if err == nil {
			err = again()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Errorf("two have it: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "file"), "")
	if _, err := daemon.Lock(filepath.Join(dir, "file")); err == nil {
		t.Error("a file was locked as a folder")
	}
}

// A process that nobody has started this way has nobody to tell.
func TestTellNobody(t *testing.T) {
	if err := daemon.TellStarter(daemon.Report{}); err != nil {
		t.Error(err)
	}
	if _, err := daemon.Announce(filepath.Join(t.TempDir(), "none"), "", nil); err == nil {
		t.Error("announced without a folder")
	}
	if _, err := daemon.Announce(t.TempDir(), "", func() {}); err == nil {
		t.Error("announced what is no JSON")
	}
}
