package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
)

// full recognises a disk without room, and folders in memory that have none. err is what the task returned, and tail the last output of its programs.
func (m *image) full(err error, tail []string) error {
	if m.disk.ReadOnly || err == nil {
		return err
	}
	if lost := unix.Syncfs(int(m.top.Fd())); lost != nil {
		m.lost = true
		return errors.Join(hostFull(lost), err)
	}
	var st unix.Statfs_t
	if statErr := unix.Fstatfs(int(m.top.Fd()), &st); statErr != nil {
		return errors.Join(err, statErr)
	}
	said := slices.ContainsFunc(append(tail, err.Error()), func(line string) bool {
		return strings.Contains(strings.ToLower(line), unix.ENOSPC.Error())
	})
	if !said && st.Bavail > 0 {
		return err
	}
	if dir := m.fullMemory(); dir != "" && st.Bavail > 0 {
		return fmt.Errorf("%s is in memory while the image is built, and full: keep large files elsewhere, for example in /root, "+
			"and remove them at the end: %w", dir, err)
	}
	return fmt.Errorf("%w: it has %v: raise disk_size in the template: %w", ErrGuestFull, bake.Size(m.disk.Size), err)
}

// fullMemory returns a folder of the image that is in memory and has no room left, or "".
func (m *image) fullMemory() string {
	for _, at := range m.memory {
		var st unix.Statfs_t
		if unix.Statfs(at, &st) == nil && st.Blocks > 0 && st.Bavail == 0 {
			return strings.TrimPrefix(at, m.root)
		}
	}
	return ""
}

// hostFull says that writes which the image's filesystem had accepted could not be made. Its own lack of room is reported
// to programs at once, so what comes this late is the machine's; the filesystem then refuses all further writes.
func hostFull(err error) error {
	return fmt.Errorf("%w: write to the disk: %w", ErrHostFull, err)
}
