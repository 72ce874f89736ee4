package daemon

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

var errEnded = errors.New("it has ended")

// born returns what no other process has: the boot of the host, and the clock tick since then at which the process was started.
func born(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	// The second field is the name in parentheses, in which anything may stand; state is the third one, start time the 22nd.
	_, rest, _ := cutLast(string(stat), ")")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", errEnded // a zombie, which nobody has waited for yet
	}
	return strings.TrimSpace(string(boot)) + " " + fields[19], nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
