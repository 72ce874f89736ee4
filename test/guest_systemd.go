package test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

const journalLines = 10 // of each failed unit

// systemd judges whether the machine came up and no unit failed, but those that are allowed to.
func systemd(ctx context.Context, allowed []string, limit time.Duration) []Result {
	const name = "systemd"
	if _, err := exec.LookPath("systemctl"); err != nil {
		return []Result{{Name: name, Status: Skip, Detail: "the image has no systemd"}}
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	state, err := output(waiting, "systemctl", "is-system-running", "--wait")
	if waiting.Err() != nil {
		jobs, _ := output(ctx, "systemctl", "list-jobs", "--no-legend", "--no-pager", "--plain")
		return []Result{{Name: name, Status: Fail, Detail: fmt.Sprintf("the system was still starting after %s; its jobs:\n%s", limit, jobs)}}
	}
	switch state {
	case "running":
		return []Result{{Name: name, Status: Pass, Detail: state}}
	case "degraded":
		return []Result{degraded(ctx, name, allowed)}
	case "":
		state = fmt.Sprint(err)
	}
	return []Result{{Name: name, Status: Fail, Detail: "the system is not running but " + state}}
}

func degraded(ctx context.Context, name string, allowed []string) Result {
	list, err := output(ctx, "systemctl", "list-units", "--failed", "--full", "--plain", "--no-legend", "--no-pager")
	if err != nil {
		return Result{Name: name, Status: Fail, Detail: fmt.Sprintf("the system is degraded; systemctl list-units: %v", err)}
	}
	var failed, forgiven []string
	for line := range strings.Lines(list) {
		unit, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case unit == "":
		case slices.Contains(allowed, unit), slices.Contains(allowed, strings.TrimSuffix(unit, ".service")):
			forgiven = append(forgiven, unit)
		default:
			failed = append(failed, unit)
		}
	}
	if len(failed) == 0 {
		return Result{Name: name, Status: Pass, Detail: "degraded, by units that may fail: " + strings.Join(forgiven, ", ")}
	}
	detail := []string{"failed units: " + strings.Join(failed, ", ")}
	for _, unit := range failed {
		journal, err := output(ctx, "journalctl", "--unit", unit, "--lines", strconv.Itoa(journalLines), "--output", "cat", "--no-pager")
		if err != nil {
			journal = err.Error()
		}
		detail = append(detail, "journal of "+unit+":", indent(journal))
	}
	return Result{Name: name, Status: Fail, Detail: strings.Join(detail, "\n")}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// output runs a program and returns what it said, without space around it, also when it failed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}
