package machine

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
)

const (
	consoleKept = 64 << 10 // bytes: the last thousand lines or so
	consoleLine = 512      // bytes at the end of what was read that a message of doom may still lie in
)

// console keeps the end of what a serial console shows, and notices when it shows that the guest is beyond hope.
type console struct {
	mu    sync.Mutex
	kept  []byte
	also  io.Writer     // may be nil
	flaw  string        // why the machine will never answer
	fatal chan struct{} // closed once flaw is set
}

func newConsole(also io.Writer, flaw string) *console {
	c := &console{also: also, fatal: make(chan struct{})}
	if flaw != "" {
		c.doom(flaw)
	}
	return c
}

// Write takes a piece of the guest's output. It never fails: the guest must not notice who listens.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = append(c.kept, p...)
	if flaw := hopeless(c.kept[max(0, len(c.kept)-len(p)-consoleLine):]); flaw != "" {
		c.doom(flaw)
	}
	if len(c.kept) > 2*consoleKept {
		c.kept = append([]byte(nil), c.kept[len(c.kept)-consoleKept:]...)
	}
	if c.also != nil {
		_, _ = c.also.Write(p)
	}
	return len(p), nil
}

func (c *console) doom(flaw string) {
	if c.flaw == "" {
		c.flaw = flaw
		close(c.fatal)
	}
}

// forgive is called when the guest answers after all.
func (c *console) forgive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaw != "" {
		c.flaw, c.fatal = "", make(chan struct{})
	}
}

func (c *console) doomed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal
}

func (c *console) reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flaw
}

// watchFirmware reads what the BIOS says and closes log at its end.
func (c *console) watchFirmware(log *os.File) {
	defer func() { _ = log.Close() }()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if flaw := hopeless(lines.Bytes()); flaw != "" {
			c.mu.Lock()
			c.doom(flaw)
			c.mu.Unlock()
		}
	}
}

// hopeless returns what a text on the console means for a guest that has not been reached yet: "" for nothing bad.
func hopeless(text []byte) string {
	for _, sign := range []struct{ text, means string }{
		{"No bootable device", "the BIOS found nothing to boot on the disk"},                                      // SeaBIOS
		{"BdsDxe: No bootable option or device was found", "the UEFI firmware found nothing to boot on the disk"}, // OVMF
		{"UEFI Interactive Shell", "the UEFI firmware found nothing to boot on the disk"},                         // OVMF
		{"grub rescue>", "GRUB did not find its files"},
		{"Kernel panic - not syncing", "the kernel of the guest panicked"},
		{"\n(initramfs)", "the initramfs did not find the root file system"},                           // initramfs-tools
		{"Entering emergency mode. Exit the shell", "the initramfs did not find the root file system"}, // dracut
		{"You are in emergency mode", "systemd went into emergency mode"},
	} {
		if bytes.Contains(text, []byte(sign.text)) {
			return sign.means
		}
	}
	return ""
}

// tail returns the last lines, as a person would want to read them.
func (c *console) tail(lines int) []string {
	c.mu.Lock()
	text := string(c.kept[max(0, len(c.kept)-consoleKept):])
	c.mu.Unlock()
	var kept []string
	for line := range strings.SplitSeq(Plain(text), "\n") {
		if line = strings.TrimRight(line, " \t"); line != "" {
			kept = append(kept, line)
		}
	}
	return kept[max(0, len(kept)-lines):]
}

// Plain returns text without what a terminal would obey instead of showing, such as colours, and with plain line ends.
func Plain(text string) string {
	escapes := regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])`)
	text = escapes.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, text)
}
