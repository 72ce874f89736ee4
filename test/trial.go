package test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
)

// guestProgram is the name that the program for the machine has on its seed disk.
const guestProgram = "iibake"

// trial is the judgement of an image on one machine.
type trial struct {
	judge    Judge
	image    bake.Image
	tests    bake.Tests
	files    map[string][]byte // the goss file and what it includes
	disk     string
	firmware bake.Firmware
	report   bake.Reporter

	machine *machine.Machine
	serial  consoleLog
	boots   []Boot
	console []string // why it failed, as far as the serial console knows

	mu      sync.Mutex // checks run at the same time
	results []Result
}

// run boots the machine, judges it, and is done with it. The error is for what kept it from judging.
func (t *trial) run(ctx context.Context) (err error) {
	boot := string(t.firmware)
	task := t.task("boot " + boot)
	t.serial.log(task)
	start := time.Now()
	t.machine, err = machine.Start(ctx, t.spec())
	if err != nil {
		return task.End(err)
	}
	defer func() { err = errors.Join(err, t.machine.Close()) }()
	if client := t.reach(ctx, task, boot, start); client != nil {
		t.judgeBoot(ctx, client, boot, true)
		if client = t.reboot(ctx, client, boot); client != nil {
			t.judgeBoot(ctx, client, boot+rebooted, false)
		}
	}
	if failed(t.results) {
		if err := t.blameless(ctx); err != nil {
			return err
		}
		t.console = append([]string{"serial console of the boot by " + boot + ":"}, t.machine.Console(consoleKept)...)
	}
	return context.Cause(ctx)
}

// farewell is how long a QEMU that ends takes at most to be gone after its guest has fallen silent.
const farewell = time.Second

// blameless returns what, other than the image, can have made checks fail: this host's disk is full, or it ended QEMU.
func (t *trial) blameless(ctx context.Context) error {
	if err := full(t.judge.scratch()); err != nil {
		return err
	}
	select {
	case <-t.machine.Done():
	case <-time.After(farewell):
	}
	if why := t.machine.Err(); why != nil && !errors.Is(why, machine.ErrPoweredOff) && ctx.Err() == nil {
		return fmt.Errorf("the machine did not end by itself, so that what failed says nothing of the image: %w", why)
	}
	return nil
}

// judgeBoot makes the checks of the boot that was just reached.
func (t *trial) judgeBoot(ctx context.Context, client *ssh.Client, boot string, first bool) {
	began := time.Now()
	t.check(ctx, client, boot, first)
	t.boots[len(t.boots)-1].Checks = bake.Duration(time.Since(began))
}

const rebooted = ", rebooted"

func (t *trial) task(name string) *bake.Task {
	return bake.StartTask(t.report, t.image.Name, "test "+name, nil)
}

func (t *trial) spec() machine.Spec {
	s := machine.Spec{
		Name: t.image.Name, Disk: t.disk, Arch: t.image.Arch, Firmware: t.firmware,
		Bus: t.tests.Boot.RootDisk, Memory: t.tests.Boot.Memory, CPUs: t.tests.Boot.CPUs, User: t.tests.Boot.User,
		Files: map[string]string{guestProgram: t.judge.Guest}, Console: &t.serial, Scratch: t.judge.Scratch,
	}
	for _, p := range t.tests.HTTP {
		s.Ports = append(s.Ports, p.Port)
	}
	for _, p := range t.tests.TCP {
		s.Ports = append(s.Ports, p.Port)
	}
	return s
}

// add records a result, at the given boot.
func (t *trial) add(boot string, r Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Boot = boot
	t.results = append(t.results, r)
}

// reach waits for SSH and records how that went. It returns nil where the machine cannot be reached.
func (t *trial) reach(ctx context.Context, task *bake.Task, boot string, start time.Time) *ssh.Client {
	limit := time.Duration(t.tests.Boot.Timeout)
	dialing, cancel := context.WithTimeout(ctx, limit-time.Since(start))
	defer cancel()
	client, err := t.machine.Dial(dialing)
	t.serial.log(nil)
	took := bake.Duration(time.Since(start))
	if err != nil {
		text := err.Error()
		if e, ok := errors.AsType[*machine.Error](err); ok {
			text = e.Text
		}
		if errors.Is(err, context.DeadlineExceeded) {
			text += fmt.Sprintf(" (limit: %s)", limit)
		}
		t.add(boot, Result{Name: "ssh", Status: Fail, Detail: text, Took: took})
		_ = task.End(errors.New(text))
		return nil
	}
	t.boots = append(t.boots, Boot{Name: boot, Accelerator: t.machine.Accelerator(), SSH: took})
	t.add(boot, Result{Name: "ssh", Status: Pass, Took: took})
	_ = task.End(nil)
	return client
}

// reboot restarts the machine from inside and returns the connection to it after that, or nil.
func (t *trial) reboot(ctx context.Context, client *ssh.Client, boot string) *ssh.Client {
	defer func() { _ = client.Close() }()
	skip := ""
	switch {
	case t.tests.Reboot != nil && !*t.tests.Reboot:
		skip = "the template switches it off"
	case failed(t.results):
		skip = "the machine had already failed"
	}
	if skip != "" {
		t.add(boot, Result{Name: "reboot", Status: Skip, Detail: skip})
		return nil
	}
	task := t.task("reboot " + boot)
	t.serial.log(task)
	start := time.Now()
	if err := t.restart(ctx, client, t.machine.Restarted(), t.machine.Done()); err != nil {
		t.add(boot, Result{Name: "reboot", Status: Fail, Detail: err.Error(), Took: bake.Duration(time.Since(start))})
		_ = task.End(err)
		return nil
	}
	t.add(boot, Result{Name: "reboot", Status: Pass, Took: bake.Duration(time.Since(start))})
	return t.reach(ctx, task, boot+rebooted, time.Now())
}

// restart asks the guest to reboot and waits until the machine is reset, or gone.
func (t *trial) restart(ctx context.Context, client *ssh.Client, reset, gone <-chan struct{}) error {
	var stderr tail
	asked := make(chan error, 1)
	go func() { asked <- ask(client, &stderr) }() // ends with the connection at the latest: a guest that hangs answers nothing
	limit := time.After(time.Duration(t.tests.Boot.Timeout))
	for {
		select {
		case err := <-asked:
			if err != nil {
				return fmt.Errorf("reboot: %w", err)
			}
		case <-reset:
			return nil
		case <-gone:
			return errors.New("the machine powered off instead of rebooting")
		case <-limit:
			return fmt.Errorf("the machine did not shut down for its reboot within %s%s", t.tests.Boot.Timeout, stderr.after(": "))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func ask(client *ssh.Client, stderr *tail) error {
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	session.Stderr = stderr
	return session.Start("sudo -n reboot")
}
