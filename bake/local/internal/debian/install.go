package debian

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// install is the task that fills the empty filesystem.
func install(ctx context.Context, e *sandbox.Env, raw json.RawMessage) (any, error) {
	var in input
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	if err := in.mmdebstrap(ctx, e); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(e.Root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return nil, errors.Join(in.clean(root), in.writeFiles(root))
}

// Package files and lists are in memory while mmdebstrap runs: they never reach the disk, so nothing need be erased.
const memoryHook = `set -e
for dir in var/cache/apt var/lib/apt/lists; do
	mkdir -p "$1/$dir"
	mount -t tmpfs -o mode=0755 tmpfs "$1/$dir"
done
mkdir -p "$1/var/cache/apt/archives/partial" "$1/var/lib/apt/lists/partial"`

// Options for the bootstrap only. Nothing has to survive a crash, the network may stutter, and what mmdebstrap writes into
// the configuration of the image for this is removed by clean.
func (in input) args(target string) []string {
	return []string{
		"--mode=root", "--variant=apt", "--format=directory", "--verbose",
		"--architectures=" + string(in.Arch), "--include=" + strings.Join(in.Packages, ","),
		"--dpkgopt=force-unsafe-io",
		`--aptopt=Acquire::Retries "3"`, `--aptopt=Acquire::http::Timeout "30"`, `--aptopt=Acquire::Languages "none"`,
		"--setup-hook=" + memoryHook,
		in.Suite, target, "-",
	}
}

func (in input) mmdebstrap(ctx context.Context, e *sandbox.Env) error {
	cmd := exec.CommandContext(ctx, "mmdebstrap", in.args(e.Root)...)
	// Debian makes an initramfs when it installs the kernel, and again when the last package is there. setUp makes the only one.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMPDIR="+e.Scratch, "INITRD=No")
	cmd.Stdin = strings.NewReader(sources(in.Archives, ""))
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	p := progress{log: e.Log}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(r)
	}()
	err := cmd.Run()
	_ = w.Close()
	<-read
	if err != nil {
		return explain(in, p.tail, err)
	}
	p.tell(fmt.Sprintf("installed %d packages", p.configured))
	return nil
}

// progress turns the output of mmdebstrap, apt and dpkg into a few lines.
type progress struct {
	log  func(string)
	tail []string // last lines, for explain

	last                 string // what was told
	unpacked, configured int
}

const (
	tailLines = 200
	reportAt  = 40 // packages
)

func (p *progress) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.line(lines.Text())
	}
	_, _ = io.Copy(io.Discard, r) // a line too long to be one: do not block the program
}

func (p *progress) line(s string) {
	if p.tail = append(p.tail, s); len(p.tail) > tailLines {
		p.tail = p.tail[1:]
	}
	first, rest, _ := strings.Cut(s, " ")
	switch {
	case first == "Fetched":
		p.tell("downloaded " + strings.TrimSpace(rest))
	case first == "Unpacking":
		p.unpacked++
		p.count(p.unpacked, "unpacked")
	case first == "Setting" && strings.HasPrefix(rest, "up "):
		p.configured++
		p.count(p.configured, "configured")
	case first == "I:" && strings.HasSuffix(s, "..."):
		p.tell(strings.TrimSuffix(rest, "..."))
	case first == "W:":
		p.tell("warning: " + rest)
	}
}

func (p *progress) count(n int, what string) {
	if n%reportAt == 0 {
		p.tell(fmt.Sprintf("%s %d packages", what, n))
	}
}

// tell logs a line once: apt and dpkg say some things several times.
func (p *progress) tell(line string) {
	if line != p.last {
		p.log(line)
	}
	p.last = line
}

// clean removes what mmdebstrap left of this machine and of the bootstrap.
func (in input) clean(root *os.Root) error {
	var errs []error
	for _, name := range []string{
		"etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/apt/sources.list",
		"etc/apt/sources.list.d/0000main.sources", "etc/apt/sources.list.d/0000main.list",
		"etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_ecdsa_key", "etc/ssh/ssh_host_ed25519_key",
		"etc/ssh/ssh_host_rsa_key.pub", "etc/ssh/ssh_host_ecdsa_key.pub", "etc/ssh/ssh_host_ed25519_key.pub",
		"var/lib/systemd/random-seed", "etc/machine-id",
		"etc/.resolv.conf.systemd-resolved.bak", // names the resolver of this machine
	} {
		if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	// Empty, not missing: systemd fills it in at the first boot, and does not take that for a factory reset.
	return errors.Join(append(errs, root.WriteFile("etc/machine-id", nil, 0o444))...)
}

// explain says in one line why the bootstrap failed and what to do.
func explain(in input, out []string, err error) error {
	for _, known := range failures() {
		for _, line := range out {
			if known.match.MatchString(line) {
				return fmt.Errorf("%w: %s: %s", known.kind, clip(line), known.hint(in))
			}
		}
	}
	var errs []string
	for _, line := range out {
		if strings.HasPrefix(line, "E: ") || strings.HasPrefix(line, "dpkg: error") {
			errs = append(errs, clip(line))
		}
	}
	if len(errs) == 0 {
		errs = out[max(0, len(out)-10):]
	}
	return fmt.Errorf("mmdebstrap: %w: %s", err, strings.Join(errs, "\n"))
}

// clip takes the mark of an error off a line.
func clip(line string) string {
	line = strings.TrimSpace(line)
	for _, mark := range []string{"E: ", "W: ", "Err:", "Error: "} {
		line = strings.TrimPrefix(line, mark)
	}
	return strings.TrimSpace(line)
}
