// Package sandbox runs a task of this program in a process of its own that cannot leave anything behind on the machine.
//
// The process is this program once more, as PID 1 of fresh mount, PID, UTS and IPC namespaces. It mounts the root
// filesystem of a disk from a loop device that detaches itself, furnishes it so that programs of the image can run in a
// chroot, and runs one task. Nothing that it makes has a life of its own: when it ends, by whatever means, the kernel ends
// the processes, mounts and the loop device with it.
//
// The disk is handed over as an open file. It needs no name.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/iibake/iibake/bake"
)

var (
	// ErrUnavailable is wrapped where this machine, or this user on it, cannot run a sandbox.
	ErrUnavailable = errors.New("cannot build images here")
	// ErrGuestFull is wrapped when the filesystem of the image has no room left.
	ErrGuestFull = errors.New("the image's disk is full")
	// ErrHostFull is wrapped when the filesystem that holds the disk did not take what was written: it has no room left, or
	// it fails.
	ErrHostFull = errors.New("this machine's disk is full")
)

// Root is the root filesystem of an image: a part of a disk. It is ext4, XFS or Btrfs.
type Root struct {
	Disk         *os.File // stays open and with its owner; may have no name any more
	Offset, Size int64    // bytes; a size of 0 means up to the end of the disk
	ReadOnly     bool     // nothing is written, not even the journal
	Others       []Part   // of the disk; those that the image's fstab names are mounted where it says
}

// Part is another part of the disk that holds a filesystem: ext4, XFS, Btrfs or FAT.
type Part struct {
	Offset, Size int64  // bytes
	UUID, Label  string // of the partition, not of its filesystem; may be empty
}

// Job is one call of a task.
type Job struct {
	Task  string            // its key among the tasks of Main
	Root  *Root             // nil where the task needs no disk
	Bare  bool              // only Root is mounted: no scratch over its folders, no /dev, /proc and /sys; implied by Root.ReadOnly
	Input any               // handed to the task as JSON
	Log   func(line string) // receives what the task logs, one call at a time; may be nil
}

// Env is what a task finds in its sandbox.
type Env struct {
	Root    string            // where the root filesystem is mounted; empty without one
	Dev     string            // its loop device
	Others  []string          // where further filesystems of the disk are mounted, below Root
	Scratch string            // an empty folder in memory, gone with the sandbox
	Log     func(line string) // sends a line to Job.Log

	tail *tail // the last lines of the last program that ran
}

// Task is what a sandbox can do. Its result and its input travel as JSON. Programs that it leaves running are ended before
// the disk is unmounted; it keeps no file of the disk open.
type Task func(ctx context.Context, e *Env, input json.RawMessage) (any, error)

// Command is a program to run in the image. Input and output are not interactive.
type Command struct {
	Argv   []string          // program, looked up in the image, and its arguments
	Env    map[string]string // in addition to a clean environment
	Stdout io.Writer         // receives the standard output; nil: it is logged like the standard error
}

// CommandError is a program that failed.
type CommandError struct {
	Argv []string
	Code int      // exit status; -1 where a signal ended it
	Text string   // how it ended
	Tail []string // last lines of its output
}

// Error returns how the program ended and the last line it wrote. The other lines are in Tail.
func (e *CommandError) Error() string {
	s := e.Argv[0] + ": " + e.Text
	if n := len(e.Tail); n > 0 {
		s += ": " + strings.TrimSpace(e.Tail[n-1])
	}
	return s
}

// request is what the parent tells the sandbox.
type request struct {
	Task  string
	Input json.RawMessage
	Disk  *disk
}

// disk is a Root as the sandbox gets it, its loop device at descriptor fdLoop, those of the others behind it.
type disk struct {
	Dev      string // /dev/loopN
	Size     int64
	ReadOnly bool
	Bare     bool
	Others   []part
}

// part is a Part as the sandbox gets it.
type part struct{ Dev, UUID, Label string }

// reply is one message of the sandbox. The last one carries Result or Error.
type reply struct {
	Log    string          `json:",omitempty"`
	Done   bool            `json:",omitempty"`
	Result json.RawMessage `json:",omitempty"`
	Error  string          `json:",omitempty"`
	Failed *CommandError   `json:",omitempty"` // the program that the error is about
	Kinds  []string        `json:",omitempty"` // texts of the sentinels that the error wraps
}

// sentinels are the errors that keep their identity on the way out of the sandbox.
func sentinels() []error {
	return []error{
		bake.ErrInvalid, bake.ErrNotFound, bake.ErrRefused,
		ErrGuestFull, ErrHostFull, ErrUnavailable, context.DeadlineExceeded,
	}
}

func newReply(result any, err error) reply {
	r := reply{Done: true}
	if err == nil {
		if r.Result, err = json.Marshal(result); err == nil {
			return r
		}
	}
	r.Error = err.Error()
	_ = errors.As(err, &r.Failed)
	for _, s := range sentinels() {
		if errors.Is(err, s) {
			r.Kinds = append(r.Kinds, s.Error())
		}
	}
	return r
}

// remoteError is an error that came out of a sandbox.
type remoteError struct {
	text  string
	kinds []error
}

// Error returns the text as the task wrote it.
func (e *remoteError) Error() string { return e.text }

// Unwrap returns the sentinels and the CommandError that the error wrapped inside.
func (e *remoteError) Unwrap() []error { return e.kinds }

// open stores the result in out, or returns the error.
func (r reply) open(task string, out any) error {
	if r.Error == "" {
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(r.Result, out); err != nil {
			return fmt.Errorf("%s: result: %w", task, err)
		}
		return nil
	}
	e := &remoteError{text: r.Error}
	if r.Failed != nil {
		e.kinds = append(e.kinds, r.Failed)
	}
	for _, s := range sentinels() {
		for _, kind := range r.Kinds {
			if kind == s.Error() {
				e.kinds = append(e.kinds, s)
			}
		}
	}
	return e
}
