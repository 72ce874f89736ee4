package test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// slack is how much older than the boot a file may look: before the clock is set right, time may run behind.
const slack = time.Minute

// hygiene judges at the first boot of a machine that what must be its own was made at this boot, and is not part of the
// image, where all machines would share it. root is the root of the file system.
func hygiene(root string) []Result {
	booted, err := bootTime(filepath.Join(root, "proc/stat"))
	if err != nil {
		return []Result{{Name: "hygiene", Status: Skip, Detail: err.Error()}}
	}
	own := func(path string) string { return notOwn(path, booted.Add(-slack)) }
	return []Result{
		verdictOn("hygiene: machine-id", machineID(filepath.Join(root, "etc/machine-id"), own)),
		verdictOn("hygiene: host keys", hostKeys(filepath.Join(root, "etc/ssh"), own)),
		verdictOn("hygiene: cloud-init", instances(filepath.Join(root, "var/lib/cloud/instances"))),
		verdictOn("hygiene: services", policy(filepath.Join(root, "usr/sbin/policy-rc.d"))),
	}
}

func verdictOn(name, flaw string) Result {
	if flaw != "" {
		return Result{Name: name, Status: Fail, Detail: flaw}
	}
	return Result{Name: name, Status: Pass}
}

// bootTime reads when the kernel started.
func bootTime(stat string) (time.Time, error) {
	f, err := os.Open(stat)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "btime "); ok {
			at, err := strconv.ParseInt(text, 10, 64)
			return time.Unix(at, 0), err
		}
	}
	return time.Time{}, fmt.Errorf("%s does not tell when the machine was started", stat)
}

func notOwn(path string, since time.Time) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	if info.ModTime().Before(since) {
		return fmt.Sprintf("%s is part of the image: it is of %s, before the machine was started", path, info.ModTime().UTC().Format(time.DateTime))
	}
	return ""
}

func machineID(path string, own func(string) string) string {
	id, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}\n?$`).Match(id) {
		return fmt.Sprintf("%s was not initialised: it holds %q", path, id)
	}
	return own(path)
}

func hostKeys(dir string, own func(string) string) string {
	keys, err := filepath.Glob(filepath.Join(dir, "ssh_host_*_key"))
	if err != nil {
		return err.Error()
	}
	for _, key := range keys {
		if flaw := own(key); flaw != "" {
			return flaw
		}
	}
	return ""
}

// instances looks for what cloud-init remembers of another machine than this one.
func instances(dir string) string {
	known, err := os.ReadDir(dir)
	if err != nil || len(known) <= 1 {
		return "" // an image without cloud-init has nothing to remember
	}
	return fmt.Sprintf("%s knows %d instances, and this is the first boot of one: the image was not sealed", dir, len(known))
}

// policy looks for the file that keeps services from starting in a Debian chroot.
func policy(path string) string {
	if _, err := os.Lstat(path); err == nil {
		return path + " is part of the image: it is meant for the bake, and keeps packages from starting their services"
	} else if !os.IsNotExist(err) {
		return err.Error()
	}
	return ""
}
