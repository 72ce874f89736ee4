package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/internal/pause"
)

// stages are folders over which a sandbox may mount a tmpfs for what it makes; the first that exists is taken. Making one
// would leave it behind when the machine crashes, and no task needs to look into these: /boot holds neither a repository nor
// a program, and almost every machine has it.
func stages() []string { return []string{"/boot", "/media", "/mnt"} }

// politeness is how long programs that a task left running have to end by themselves.
const politeness = 2 * time.Second

// Main turns this process into the sandbox that it was started as, and reports whether it was; the program then ends with
// code. It is the first thing that main, and TestMain, call. tasks are all that this program can do in a sandbox.
func Main(tasks map[string]Task) (code int, ran bool) {
	if len(os.Args) == 0 || os.Args[0] != argv0 || os.Getpid() != 1 {
		return 0, false
	}
	for _, fd := range []int{fdJob, fdReply, fdLoop} {
		unix.CloseOnExec(fd)
	}
	jobs, replies := os.NewFile(fdJob, "job"), json.NewEncoder(os.NewFile(fdReply, "reply"))
	var req request
	d := json.NewDecoder(jobs)
	if err := d.Decode(&req); err != nil {
		return 1, true // the parent is gone already
	}
	if req.Disk != nil {
		for i := range req.Disk.Others {
			unix.CloseOnExec(fdLoop + 1 + i)
		}
	}
	go dieWithParent(io.MultiReader(d.Buffered(), jobs))
	log := func(line string) {
		if err := replies.Encode(reply{Log: line}); err != nil {
			syscall.Exit(1) // nobody listens any more
		}
	}
	if err := replies.Encode(newReply(req.serve(tasks[req.Task], log))); err != nil {
		return 1, true
	}
	return 0, true
}

// dieWithParent ends the sandbox when the parent has. It backs up the parent death signal, which is lost where the parent
// dies before the new process has asked for it.
func dieWithParent(jobs io.Reader) {
	_, _ = io.Copy(io.Discard, jobs)
	syscall.Exit(1)
}

// serve prepares the sandbox, runs the task, and leaves nothing of it.
func (r request) serve(task Task, log func(string)) (result any, err error) {
	if task == nil {
		return nil, fmt.Errorf("sandbox: no task is named %q", r.Task)
	}
	stage, err := isolate()
	if err != nil {
		return nil, fmt.Errorf("%w: prepare the sandbox: %w: %s", ErrUnavailable, err, privileged)
	}
	env := &Env{Scratch: filepath.Join(stage, "scratch"), Log: log, tail: &tail{}}
	if r.Disk == nil {
		defer func() { err = errors.Join(err, endAll()) }()
		return task(context.Background(), env, r.Input)
	}
	env.Root, env.Dev = filepath.Join(stage, "root"), r.Disk.Dev
	img, err := mountImage(*r.Disk, env.Root)
	if err != nil {
		return nil, err
	}
	if err = img.furnish(log); err == nil {
		env.Others = img.mounts()
		result, err = task(context.Background(), env, r.Input)
	}
	err = errors.Join(img.full(err, env.tail.Flush()), endAll())
	return result, errors.Join(err, img.release())
}

// isolate makes the namespaces private and returns the folder that the sandbox has for itself.
func isolate() (string, error) {
	unix.Umask(0o022)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return "", fmt.Errorf("mount /proc: %w", err)
	}
	// Programs look their own host up, and localhost is the name that everybody can resolve.
	if err := unix.Sethostname([]byte("localhost")); err != nil {
		return "", fmt.Errorf("set the host name: %w", err)
	}
	for _, stage := range stages() {
		err := unix.Mount("tmpfs", stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("mount a tmpfs on %s: %w", stage, err)
		}
		return stage, errors.Join(os.Mkdir(stage+"/root", 0o755), os.Mkdir(stage+"/scratch", 0o700))
	}
	return "", fmt.Errorf("mount a tmpfs: none of %v is a folder", stages())
}

// endAll ends every other process of the sandbox: they are all children of PID 1, or become so.
func endAll() error {
	for _, try := range []struct {
		signal unix.Signal
		limit  time.Duration
	}{{0, 0}, {unix.SIGTERM, politeness}, {unix.SIGKILL, detachLimit}} {
		if try.signal != 0 {
			_ = unix.Kill(-1, try.signal)
		}
		if reaped(try.limit) {
			return nil
		}
	}
	return errors.New("a program that the task left running does not end")
}

// reaped waits up to limit until there is no child any more.
func reaped(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return true
		case err == nil && pid > 0, errors.Is(err, unix.EINTR):
			continue
		}
		if pause.For(ctx, pollEvery) != nil {
			return false
		}
	}
}
