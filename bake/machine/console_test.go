package machine_test

import (
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/machine"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh.service\x1b[0m.\r\n": "[  OK  ] Started ssh.service.\n",
		"\x1b]0;title\x07text":                "text",
		"\x1b]0;title\x1b\\text":              "text",
		"\x1bc\x1b[?7l\x1b[2J\x1b(Bclean":     "clean",
		"one\rtwo":                            "one\ntwo",
		"tab\tand\x00nul\x7f":                 "tab\tandnul",
		"caf\u00e9 \xff":                      "caf\u00e9 ",
		"\x1b[3;1Hposition":                   "position",
		"\x1bP1$r0m\x1b\\device control ends": "device control ends",
	} {
		if got := machine.Plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestHopeless(t *testing.T) {
	for text, want := range map[string]string{
		"Boot failed: not a bootable disk\n\nNo bootable device.\n":            "the BIOS found nothing",
		"[    1.9] Kernel panic - not syncing: VFS: Unable to mount":           "panicked",
		"error: no such device\nEntering rescue mode...\ngrub rescue> ":        "GRUB",
		"ALERT!  UUID=x does not exist.  Dropping to a shell!\n\n(initramfs) ": "initramfs",
		"You are in emergency mode. After logging in":                          "emergency mode",
		"[  OK  ] Reached target Multi-User System":                            "",
		"login: ": "",
	} {
		got := machine.Hopeless(text)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

// Of what a chatty guest says the end is kept, 64 KiB of it.
func TestLongConsole(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 6)
	var all syncBuffer
	m := start(t, machine.Spec{Disk: biosDisk(t, forever(say(long+"\r\n"))), Console: &all})
	until(t, "much was said", func() bool { return len(all.String()) > 300_000 })
	lines := m.Console(10_000)
	if n, most := len(lines), 64<<10/len(long); n > most || n < most/2 {
		t.Errorf("%d lines are kept", n)
	}
	if got := lines[len(lines)-2]; got != long {
		t.Errorf("last lines: %q", got)
	}
}
