package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
)

// argv0 is the name that tells this program that it is a sandbox.
const argv0 = "iibake-sandbox"

// Descriptors of the sandbox.
const (
	fdJob   = 3 // read: the request, then nothing; ends when the parent is gone
	fdReply = 4 // write: replies
	fdLoop  = 5 // the loop device, and behind it those of other parts of the disk
)

// Run runs a job and stores its result in out, which may be nil. When it returns the sandbox is gone: its processes have
// ended, its mounts are undone and the loop device is detached, also when ctx was cancelled or the task failed. Where the
// program itself is killed, the kernel does the same. The error of a task keeps its text and the sentinels of bake and of
// this package.
func Run(ctx context.Context, j Job, out any) (err error) {
	if err := Check(); err != nil {
		return err
	}
	input, err := json.Marshal(j.Input)
	if err != nil {
		return fmt.Errorf("%s: input: %w", j.Task, err)
	}
	c := child{req: request{Task: j.Task, Input: input}, log: j.Log}
	if j.Root != nil {
		defer func() { err = errors.Join(err, c.detach()) }() //nolint:contextcheck // also when ctx is cancelled
		if err := c.attach(ctx, j); err != nil {
			return err
		}
	}
	last, err := c.run(ctx)
	if err == nil {
		err = last.open(j.Task, out)
	}
	return explain(err, j.Root)
}

// Check returns an error wrapping [ErrUnavailable] where Run cannot work for this user on this machine.
func Check() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: building images needs root: run it with sudo", ErrUnavailable)
	}
	return nil
}

// attach makes loop devices of the job's disk.
func (c *child) attach(ctx context.Context, j Job) error {
	own, err := attach(ctx, *j.Root)
	if err != nil {
		return err
	}
	c.loops = append(c.loops, own)
	if c.req.Disk, err = newDisk(j, own.path); err != nil {
		return err
	}
	for _, p := range j.Root.Others {
		l, err := attach(ctx, Root{Disk: j.Root.Disk, Offset: p.Offset, Size: p.Size, ReadOnly: j.Root.ReadOnly})
		if err != nil {
			return err
		}
		c.loops = append(c.loops, l)
		c.req.Disk.Others = append(c.req.Disk.Others, part{Dev: l.path, UUID: p.UUID, Label: p.Label})
	}
	return nil
}

// release closes this process's descriptors of the loop devices, which would keep them attached.
func (c *child) release() {
	for _, l := range c.loops {
		_ = l.file.Close()
	}
}

// detach returns when no loop device holds the disk any more.
func (c *child) detach() error {
	c.release()
	var errs []error
	for _, l := range c.loops {
		errs = append(errs, l.wait())
	}
	return errors.Join(errs...)
}

func newDisk(j Job, dev string) (*disk, error) {
	d := &disk{Dev: dev, Size: j.Root.Size, ReadOnly: j.Root.ReadOnly, Bare: j.Bare || j.Root.ReadOnly}
	if d.Size == 0 {
		info, err := j.Root.Disk.Stat()
		if err != nil {
			return nil, fmt.Errorf("size of the disk: %w", err)
		}
		d.Size = info.Size() - j.Root.Offset
	}
	return d, nil
}

// child is a sandbox as its parent sees it.
type child struct {
	req   request
	loops []*loop // the root's first; none without a disk
	log   func(string)
}

// run returns the last message of the sandbox, once its process is reaped.
func (c *child) run(ctx context.Context) (reply, error) {
	// The parent death signal is sent when the thread that started the process ends, and Go ends threads as it likes.
	// Locked, this thread lives until the process is reaped.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	jobs, tell, err := os.Pipe()
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = tell.Close() }() // not before the process is reaped: it ends when this end closes
	replies, answer, err := os.Pipe()
	if err != nil {
		return reply{}, errors.Join(err, jobs.Close())
	}
	defer func() { _ = replies.Close() }()
	crash := &tail{}
	cmd := c.command(ctx, jobs, answer, crash)
	err = cmd.Start()
	_, _ = jobs.Close(), answer.Close()
	if err != nil {
		return reply{}, startError(err)
	}
	c.release() // the sandbox has its own
	told := json.NewEncoder(tell).Encode(c.req)
	last := c.listen(replies)
	err = cmp.Or(cmd.Wait(), told) // where the process is gone before it was told, its end says why
	switch {
	case last.Done:
		return last, nil
	case ctx.Err() != nil:
		return reply{}, fmt.Errorf("%s: %w", c.req.Task, context.Cause(ctx))
	default:
		return reply{}, fmt.Errorf("%s: the sandbox died: %w\n%s", c.req.Task, err, strings.Join(crash.Flush(), "\n"))
	}
}

func (c *child) command(ctx context.Context, jobs, answer *os.File, crash io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{argv0}
	cmd.Env = environ()
	cmd.Dir = "/"
	cmd.Stderr = crash
	cmd.ExtraFiles = []*os.File{jobs, answer}
	for _, l := range c.loops {
		cmd.ExtraFiles = append(cmd.ExtraFiles, l.file)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
		Setsid:     true, // a Ctrl-C on the terminal is for the parent, which knows what to do about it
	}
	return cmd
}

// listen logs what the sandbox says and returns its last message.
func (c *child) listen(r io.Reader) reply {
	d := json.NewDecoder(r)
	for {
		var m reply
		if d.Decode(&m) != nil || m.Done {
			return m
		}
		if c.log != nil {
			c.log(m.Log)
		}
	}
}

// privileged is what to do about a root that may not do what root may.
const privileged = "in a container, start it with --privileged"

func startError(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: make namespaces: %w: %s", ErrUnavailable, err, privileged)
	}
	return fmt.Errorf("start a sandbox: %w", err)
}

// explain adds to an error what only the owner of the disk knows: where it lies.
func explain(err error, root *Root) error {
	if root == nil || !errors.Is(err, ErrHostFull) {
		return err
	}
	var st unix.Statfs_t
	_ = unix.Fstatfs(int(root.Disk.Fd()), &st)                         // no answer counts as no room
	free := bake.Size(int64(st.Bavail)*st.Bsize) / bake.MiB * bake.MiB //nolint:gosec // no filesystem has 2^63 blocks
	return fmt.Errorf("%w: the filesystem of %s has %v left: make room on it", err, root.Disk.Name(), free)
}
