package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// reportFD is the descriptor on which a background process says once how its start went.
const reportFD = 3

// reportVariable is the environment variable that tells a process that it was started by Start.
const reportVariable = "IIBAKE_LOCAL_REPORT"

// Report is how the start of a process went.
type Report struct {
	Endpoint string   `json:"endpoint,omitempty"`
	Error    string   `json:"error,omitempty"`
	Hints    []string `json:"hints,omitempty"`
	Code     int      `json:"code,omitempty"` // the exit code that the error stands for
}

// Lock makes sure that one process at a time starts or ends the process of a folder, which is made if it does not exist. It waits for
// another one.
func Lock(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f.Close, nil
}

// Start starts this program with other arguments in the background, in a session of its own and with its output in the folder's log, and
// returns what it reported. It ends the process when ctx is done before that. Its caller holds the Lock.
func Start(ctx context.Context, dir string, args []string) (Report, error) {
	logName := filepath.Join(dir, LogName)
	if err := rotate(logName); err != nil {
		return Report{}, fmt.Errorf("start the local cloud: %w", err)
	}
	log, err := os.OpenFile(logName, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return Report{}, fmt.Errorf("start the local cloud: %w", err)
	}
	defer func() { _ = log.Close() }()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return Report{}, fmt.Errorf("start the local cloud: %w", err)
	}
	report, err := launch(ctx, dir, args, log)
	if err == nil || ctx.Err() != nil {
		return report, err
	}
	said, _ := os.ReadFile(logName)
	return Report{}, fmt.Errorf("start the local cloud: %w\n%s", err, indent(said[min(int(begin), len(said)):]))
}

// longLog is the size in bytes from which a log is put aside at the next start. The one that was put aside before is removed.
const longLog = 16 << 20

func rotate(logName string) error {
	info, err := os.Stat(logName)
	if err != nil || info.Size() < longLog {
		return nil //nolint:nilerr // a log that is not there is not long, and one that cannot be looked at cannot be opened either
	}
	return os.Rename(logName, logName+".1")
}

func launch(ctx context.Context, dir string, args []string, log *os.File) (Report, error) {
	exe, err := os.Executable()
	if err != nil {
		return Report{}, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = r.Close() }()
	cmd := exec.Command(exe, args...) //nolint:noctx // it lives longer than its starter
	cmd.Args[0] = os.Args[0]
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), reportVariable+"=1")
	cmd.ExtraFiles = []*os.File{w} // becomes reportFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return Report{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	var report Report
	if err := json.NewDecoder(r).Decode(&report); err != nil {
		return Report{}, errors.Join(errors.New("it ended without a word"), ctx.Err(), cmd.Wait())
	}
	if report.Error != "" {
		_ = cmd.Wait() // so that its folder and its port are free
		return report, nil
	}
	return report, cmd.Process.Release()
}

// Started reports whether this process was started by Start and has not told so far how that went.
func Started() bool { return os.Getenv(reportVariable) != "" }

// TellStarter gives the report to the Start that started this process, if one did, once.
func TellStarter(report Report) error {
	if !Started() {
		return nil
	}
	if err := os.Unsetenv(reportVariable); err != nil {
		return err
	}
	f := os.NewFile(reportFD, "report")
	return errors.Join(json.NewEncoder(f).Encode(report), f.Close())
}

// indent makes lines that belong to an error.
func indent(text []byte) string {
	const most = 20
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-most):], "\n  ")
}
