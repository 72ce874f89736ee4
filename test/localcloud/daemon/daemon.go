// Package daemon keeps track of the one process that a cloud's folder has: it starts it in the background, finds it again, and ends it.
//
// The process tells of itself in a file that may outlive it. A number of a process is given to another one some day, so that the file also
// has the time at which the process was born: only who has both is meant.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrNotRunning is wrapped when no process has the folder.
var ErrNotRunning = errors.New("the local cloud is not up")

// LogName is the name of the log in the folder.
const LogName = "cloud.log"

const processName = "process.json"

// Process is a process that runs a cloud.
type Process struct {
	PID      int             `json:"pid"`
	Born     string          `json:"born"`
	Started  time.Time       `json:"started"`
	Endpoint string          `json:"endpoint"`
	Settings json.RawMessage `json:"settings"` // what the starter keeps there, to compare it later
}

// Announce tells of this process in the folder dir. withdraw takes it back; it is called when the process no longer answers.
func Announce(dir, endpoint string, settings any) (withdraw func() error, err error) {
	p := Process{PID: os.Getpid(), Started: time.Now().UTC(), Endpoint: endpoint}
	if p.Settings, err = json.Marshal(settings); err != nil {
		return nil, fmt.Errorf("announce the local cloud: %w", err)
	}
	if p.Born, err = born(p.PID); err != nil {
		return nil, fmt.Errorf("announce the local cloud: %w", err)
	}
	body, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("announce the local cloud: %w", err)
	}
	name := filepath.Join(dir, processName)
	if err := replaceFile(name, append(body, '\n')); err != nil {
		return nil, fmt.Errorf("announce the local cloud: %w", err)
	}
	return func() error { return os.Remove(name) }, nil
}

// replaceFile writes a file that is never seen half written.
func replaceFile(name string, body []byte) error {
	aside := name + ".new"
	if err := os.WriteFile(aside, body, 0o600); err != nil {
		return err
	}
	return os.Rename(aside, name)
}

// Find returns the process that has the folder, or an error that wraps ErrNotRunning. What a dead process has left is no process.
func Find(dir string) (Process, error) {
	var p Process
	body, err := os.ReadFile(filepath.Join(dir, processName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, fmt.Errorf("%w: %s has no process", ErrNotRunning, dir)
	case err != nil:
		return p, err
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("%w: %s is no announcement: %w", ErrNotRunning, filepath.Join(dir, processName), err)
	}
	if !p.alive() {
		return p, fmt.Errorf("%w: process %d ended without a word", ErrNotRunning, p.PID)
	}
	return p, nil
}

func (p Process) alive() bool {
	at, err := born(p.PID)
	return err == nil && at == p.Born
}

// Stop asks the process to end and waits until it is gone, with its machines. Where it does not end within patience, it is killed.
func (p Process) Stop(ctx context.Context, patience time.Duration) error {
	// The handle means this process for ever: if it is the right one now, the signals reach no other.
	handle, err := os.FindProcess(p.PID)
	if err != nil || !p.alive() {
		return nil
	}
	defer func() { _ = handle.Release() }()
	if err := handle.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end process %d: %w", p.PID, err)
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.wait(patient) == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := handle.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return p.wait(ctx)
}

// wait returns nil when the process is gone.
func (p Process) wait(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for p.alive() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
