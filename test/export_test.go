package test

import (
	"context"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
)

// GossFiles returns what is sent to the machine for a template's goss file.
func GossFiles(t bake.Template) (map[string][]byte, error) { return gossFiles(t) }

// Hygiene judges the file system below root.
func Hygiene(root string) []Result { return hygiene(root) }

// Systemd judges what systemctl says.
func Systemd(ctx context.Context, allowed []string, limit time.Duration) []Result {
	return systemd(ctx, allowed, limit)
}

// HTTP makes a probe of an address.
func HTTP(ctx context.Context, h bake.HTTPProbe, addr string) Result {
	return httpProbe(h, addr).run(ctx, bake.StartTask(bake.Discard(), "", "", nil))
}

// InGuest makes the checks inside the machine at the other end of a connection.
func InGuest(ctx context.Context, client *ssh.Client, tests bake.Tests, files map[string][]byte, r bake.Reporter) []Result {
	t := &trial{tests: tests, files: files, report: r}
	settled := sync.OnceFunc(func() { t.add("settled", Result{}) })
	ctx, cancel := context.WithTimeout(ctx, time.Duration(tests.Timeout))
	defer cancel()
	t.inGuest(ctx, client, &watch{trial: t, boot: "bios", settled: settled},
		guestRequest{Goss: tests.Goss, Files: files, Allowed: tests.AllowedFailedUnits, Limit: time.Duration(tests.Timeout)})
	return t.results
}

// ConsoleLog returns a writer that reports the lines of a console to a task.
func ConsoleLog(task *bake.Task) io.Writer { return &consoleLog{task: task} }

// Restart asks the guest at the other end of a connection to reboot.
func Restart(ctx context.Context, client *ssh.Client, limit time.Duration, reset, gone <-chan struct{}) error {
	t := &trial{tests: bake.Tests{Boot: bake.Boot{Timeout: bake.Duration(limit)}}}
	return t.restart(ctx, client, reset, gone)
}

// Full returns an error where there is no room in a folder for what a machine writes.
func Full(dir string) error { return full(dir) }
