package test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// Judge boots images and says what they are worth.
type Judge struct {
	Store   *disk.Store // holds the disks of the images
	Scratch string      // folder for the disk while it is judged and for what the machine writes; default /var/tmp
	Guest   string      // path of an iibake for the image's architecture, run in the machine; default this very program
}

// consoleKept is how many lines of the serial console a verdict keeps of a boot that failed.
const consoleKept = 40

// Judge boots a throwaway machine from the disk of img for each firmware that t wants, makes the checks of t and returns
// the verdict, which it does not record. An image that fails has a verdict, too: an error means that it could not be judged,
// for want of QEMU, a firmware, space on the disk, a block in the store, or because ctx was cancelled. Nothing is left of the
// machines in any case.
func (j Judge) Judge(ctx context.Context, img bake.Image, t bake.Template, r bake.Reporter) (Verdict, error) {
	v, err := j.judge(ctx, img, t, r)
	if err != nil {
		return Verdict{}, fmt.Errorf("test %s: %w", img.Ref, err)
	}
	return v, nil
}

func (j Judge) judge(ctx context.Context, img bake.Image, t bake.Template, r bake.Reporter) (_ Verdict, err error) {
	start := time.Now()
	files, err := gossFiles(t)
	if err != nil {
		return Verdict{}, err
	}
	key, err := keyOf(t.Tests, files) // of the very files that judge
	if err != nil {
		return Verdict{}, err
	}
	if j.Guest, err = j.guest(img.Arch); err != nil {
		return Verdict{}, err
	}
	f, err := j.materialise(ctx, img, r)
	if err != nil {
		return Verdict{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	trials := make([]*trial, len(t.Tests.Boot.Firmware))
	for i, fw := range t.Tests.Boot.Firmware {
		trials[i] = &trial{
			judge: j, image: img, tests: t.Tests, files: files, report: r, firmware: fw,
			disk: fmt.Sprintf("/proc/self/fd/%d", f.Fd()),
		}
	}
	if err := runTrials(ctx, trials, atOnce(t.Tests.Boot.CPUs)); err != nil {
		return Verdict{}, err
	}
	v := Verdict{Image: img.Ref, Disk: img.Disk, Tests: key, At: start.UTC(), Took: bake.Duration(time.Since(start))}
	for _, tr := range trials {
		v.Boots = append(v.Boots, tr.boots...)
		v.Results = append(v.Results, tr.results...)
		v.Console = append(v.Console, tr.console...)
	}
	return v, nil
}

// atOnce is how many machines this host has processors for.
func atOnce(cpus int) int { return max(1, runtime.NumCPU()/max(1, cpus)) }

func runTrials(ctx context.Context, trials []*trial, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(n)
	for _, t := range trials {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			return t.run(ctx)
		})
	}
	return group.Wait()
}

// guest returns the program that runs in the machine.
func (j Judge) guest(arch bake.Arch) (string, error) {
	if j.Guest != "" {
		return j.Guest, nil
	}
	if string(arch) != runtime.GOARCH {
		return "", fmt.Errorf("the checks inside an %s machine need an iibake for %s, and this one is for %s: test the image on a host of its architecture",
			arch, arch, runtime.GOARCH)
	}
	return "/proc/self/exe", nil // also where another release has taken the place of its file; there are machines on Linux only
}

// materialise writes the disk of an image to a file without a name.
func (j Judge) materialise(ctx context.Context, img bake.Image, r bake.Reporter) (_ *os.File, err error) {
	task := bake.StartTask(r, img.Name, "test disk", nil)
	defer func() { err = task.End(err) }()
	f, err := disk.Scratch(j.scratch())
	if err != nil {
		return nil, err
	}
	if err := j.Store.Materialise(ctx, img.Disk, f, task.Progress); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// scratch is where the disk and what the machine writes are for a while.
func (j Judge) scratch() string { return cmp.Or(j.Scratch, "/var/tmp") }

// leastRoom is less than what a machine that works needs at any moment.
const leastRoom = bake.MiB

// full returns an error where the filesystem of a folder has no room left. A machine is told of I/O errors then, as if its disk were broken.
func full(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("room in %s: %w", dir, err)
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree // what is kept for root, too
	}
	if bake.Size(free)*bake.Size(st.Bsize) >= leastRoom { //nolint:gosec // no filesystem has 2^63 bytes
		return nil
	}
	return fmt.Errorf("the filesystem of %s is full, so that what failed says nothing of the image: make room there and test the image again", dir)
}

// failed reports whether any of the results failed.
func failed(results []Result) bool {
	return slices.ContainsFunc(results, func(r Result) bool { return r.Status == Fail })
}
