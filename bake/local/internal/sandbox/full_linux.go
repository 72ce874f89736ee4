package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
)

// full recognises the many faces of a disk without room. err is what the task returned, and tail the last output of its
// programs.
func (m *image) full(err error, tail []string) error {
	if m.disk.ReadOnly {
		return err
	}
	var st unix.Statfs_t
	if statErr := unix.Fstatfs(int(m.top.Fd()), &st); statErr != nil {
		return errors.Join(err, statErr)
	}
	if st.Flags&unix.ST_RDONLY != 0 {
		return errors.Join(err, fmt.Errorf("%w: its filesystem became read-only because writes failed", ErrHostFull))
	}
	if err == nil || errors.Is(err, ErrGuestFull) {
		return err
	}
	noSpace := unix.ENOSPC.Error()
	said := slices.ContainsFunc(append(tail, err.Error()), func(line string) bool {
		return strings.Contains(strings.ToLower(line), noSpace)
	})
	if !said && st.Bavail > 0 {
		return err
	}
	if hostErr := m.hostFull("", unix.Syncfs(int(m.top.Fd()))); hostErr != nil {
		return errors.Join(err, hostErr)
	}
	return fmt.Errorf("%w: %w: it has %v: raise disk_size in the template", err, ErrGuestFull, bake.Size(m.disk.Size))
}

// hostFull says that writes which the image's filesystem had accepted could not be made. Its own lack of room is reported
// to programs at once, so what comes this late is the machine's.
func (m *image) hostFull(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EIO):
		return fmt.Errorf("%s: %w: %w", what, err, ErrHostFull)
	}
	return fmt.Errorf("%s: %w", what, err)
}
