package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
)

// lock makes sure that one bake of an image runs at a time on this machine.
func (b *Builder) lock(ctx context.Context, name string, r bake.Reporter) (unlock func(), err error) {
	return Lock(ctx, filepath.Join(b.Dir, "locks", name+".lock"), name, r)
}

// Lock takes the lock that path stands for, a file that is made if it does not exist, for a build of the image name. While
// another build has it, it waits until ctx is done, and says so. The kernel drops the lock with the process, however that
// ends. A [Builder] takes locks of its own: what it is called under must have another path.
func Lock(ctx context.Context, path, name string, r bake.Reporter) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := waitForLock(ctx, f, name, r); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0) // for the message of those who wait
	return func() { _ = f.Close() }, nil
}

func waitForLock(ctx context.Context, f *os.File, name string, r bake.Reporter) error {
	var task *bake.Task
	err := flock.Lock(ctx, f, flock.Exclusive, func() {
		task = bake.StartTask(r, name, "wait", nil)
		task.Note("another build of %s is running (process %s): waiting for it", name, holder(f))
	})
	if task != nil {
		return task.End(err)
	}
	return err
}

func holder(f *os.File) string {
	var b [16]byte
	n, _ := f.ReadAt(b[:], 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return pid
	}
	return "unknown"
}
