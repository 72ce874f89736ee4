package daemon

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// born returns the moment at which a process was started, which no other one with its number has.
func born(pid int) (string, error) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	at := p.Proc.P_starttime
	return strconv.FormatInt(at.Nano(), 10), nil
}
