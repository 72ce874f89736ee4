package machines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// record is what is kept of an instance beside its disks.
type record struct {
	Region string       `json:"region"`
	Disks  []diskRecord `json:"disks"`
}

// diskRecord is a disk as it was made: see compute.Disk.
type diskRecord struct {
	Device string      `json:"device"`
	Volume string      `json:"volume"`
	Image  bake.Digest `json:"image,omitempty"`
	Size   int64       `json:"size"` // bytes
}

const (
	recordName = "instance.json"
	newSuffix  = ".new" // of files that are not complete
	diskSuffix = ".qcow2"
	lockPause  = 20 * time.Millisecond
)

// ErrInUse is wrapped when another driver has the folder.
var ErrInUse = errors.New("another process runs machines there")

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrInUse), f.Close())
	}
	return f, nil
}

func (d *Driver) path(id string, name ...string) string {
	return filepath.Join(append([]string{d.c.Dir, instancesDir, id}, name...)...)
}

// sweep removes the disks of instances that nobody needs any more.
func (d *Driver) sweep() error {
	entries, err := os.ReadDir(filepath.Join(d.c.Dir, instancesDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !d.c.Keep(e.Name()) {
			if err := d.remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove removes the disks of an instance, and what they stand on from the reasons to keep an image.
func (d *Driver) remove(id string) error {
	r, err := d.record(id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.c.Log.Warn("the record of an instance cannot be read", "instance", id, "error", err)
	}
	if err := os.RemoveAll(d.path(id)); err != nil {
		return err
	}
	for _, v := range r.Disks {
		if v.Image != "" {
			if err := d.c.Blocks.Release(holdName(id, v.Volume)); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdName is the name under which the image of a disk is kept in the store.
func holdName(id, volume string) string { return "machine-" + id + "-" + volume }

func (d *Driver) record(id string) (r record, err error) {
	body, err := os.ReadFile(d.path(id, recordName))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("%s: %w", d.path(id, recordName), err)
	}
	return r, nil
}

// keepRecord writes the record before there is anything that it speaks of.
func (d *Driver) keepRecord(id string, r record) error {
	if err := os.MkdirAll(d.path(id), 0o700); err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	name := d.path(id, recordName)
	if err := os.WriteFile(name+newSuffix, body, 0o600); err != nil {
		return err
	}
	return os.Rename(name+newSuffix, name)
}

// drives are the open disks of a machine.
type drives struct {
	list  []machine.Drive
	leave []func()
}

func (ds *drives) close() {
	for _, v := range ds.list {
		_ = v.File.Close()
	}
	for _, leave := range ds.leave {
		leave()
	}
}

// openDrives opens the disks of an instance. Those that it does not have yet are made.
func (d *Driver) openDrives(ctx context.Context, s compute.Spec) (_ *drives, err error) {
	if len(s.Disks) == 0 {
		return nil, errors.New("the instance has none")
	}
	disks, err := d.plan(s)
	if err != nil {
		return nil, err
	}
	ds := &drives{}
	defer func() {
		if err != nil {
			ds.close()
		}
	}()
	for _, v := range disks {
		if err := d.openDrive(ctx, s.ID, v, ds); err != nil {
			return nil, fmt.Errorf("%s: %w", v.Device, err)
		}
	}
	return ds, nil
}

// plan returns the disks to open: those that have been there stay as they were made, whatever became of the snapshot.
func (d *Driver) plan(s compute.Spec) ([]diskRecord, error) {
	old, err := d.record(s.ID)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	disks := make([]diskRecord, 0, len(s.Disks))
	for _, v := range s.Disks {
		if filepath.Base(v.Volume) != v.Volume || v.Volume == "." || v.Volume == "" {
			return nil, fmt.Errorf("%w volume id %q", bake.ErrInvalid, v.Volume)
		}
		is := diskRecord{Device: v.Device, Volume: v.Volume, Image: v.Disk, Size: int64(v.Size)}
		for _, was := range old.Disks {
			if was.Volume == is.Volume {
				is.Image, is.Size = was.Image, was.Size
			}
		}
		disks = append(disks, is)
	}
	all := slices.Clone(disks)
	for _, was := range old.Disks { // one that is not attached any more is given up with the instance
		if !slices.ContainsFunc(all, func(v diskRecord) bool { return v.Volume == was.Volume }) {
			all = append(all, was)
		}
	}
	return disks, d.keepRecord(s.ID, record{Region: s.Region, Disks: all})
}

func (d *Driver) openDrive(ctx context.Context, id string, v diskRecord, ds *drives) error {
	drive := machine.Drive{Serial: strings.ReplaceAll(v.Volume, "-", "")}
	size := v.Size
	if v.Image != "" {
		if err := d.c.Blocks.Keep(ctx, holdName(id, v.Volume), v.Image); err != nil {
			return err
		}
		image, leave, err := d.images.Open(ctx, v.Image)
		if err != nil {
			return err
		}
		drive.Base, ds.leave = image, append(ds.leave, leave)
		size = max(size, image.Size())
	}
	name := d.path(id, v.Volume+diskSuffix)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		if err := format(ctx, name, bake.Size(size)); err != nil {
			return err
		}
	}
	var err error
	if drive.File, err = openLocked(ctx, name); err != nil {
		return err
	}
	ds.list = append(ds.list, drive)
	return nil
}

// format makes an overlay, which has its name only when it is complete.
func format(ctx context.Context, name string, size bake.Size) error {
	f, err := os.Create(name + newSuffix)
	if err != nil {
		return err
	}
	if err := errors.Join(machine.Format(ctx, f, size), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+newSuffix, name)
}

// openLocked opens an overlay when nobody has it any more: the QEMU of a driver that was killed inherits the lock, and is gone in an instant.
func openLocked(ctx context.Context, name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockPause):
		}
	}
}
