// Package qemuimg turns disk images of other formats into raw disks and back, by qemu-img. What it starts ends with this
// process.
package qemuimg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/child"
)

// info is what qemu-img tells about an image, as far as we ask.
type info struct {
	Format      string `json:"format"`
	VirtualSize int64  `json:"virtual-size"`
	Backing     string `json:"backing-filename"`
	Specific    struct {
		Data struct {
			DataFile string `json:"data-file"`
		} `json:"data"`
	} `json:"format-specific"`
}

// ToRaw writes the content of the raw or qcow2 image at path to f, which is empty, and leaves unused parts as holes. An image
// that draws on other files of the host is refused: it could read any of them.
func ToRaw(ctx context.Context, path string, f *os.File) error {
	meta, err := inspect(ctx, path)
	if err != nil {
		return err
	}
	if err := f.Truncate(meta.VirtualSize); err != nil {
		return fmt.Errorf("convert %s: %w", path, err)
	}
	// -n: the target is there already, and an unnamed file can only be written to by its descriptor.
	args := []string{"convert", "-n", "-f", meta.Format, "-O", "raw", "--target-is-zero", "-S", "64k", path, "/dev/fd/3"}
	if _, err := run(ctx, []*os.File{f}, args...); err != nil {
		if strings.Contains(err.Error(), "No space left on device") {
			err = fmt.Errorf("%w: make room on the filesystem of %s", err, filepath.Dir(f.Name()))
		}
		return fmt.Errorf("convert %s: %w", path, err)
	}
	return nil
}

func inspect(ctx context.Context, path string) (info, error) {
	format, err := sniff(path)
	if err != nil {
		return info{}, err
	}
	out, err := run(ctx, nil, "info", "-f", format, "--output=json", path)
	if err != nil {
		return info{}, fmt.Errorf("read %s: %w", path, err)
	}
	var meta info
	if err := json.Unmarshal(out, &meta); err != nil {
		return info{}, fmt.Errorf("read %s: qemu-img info: %w", path, err)
	}
	if meta.Backing != "" || meta.Specific.Data.DataFile != "" {
		return info{}, fmt.Errorf("%w: %s draws on another file: flatten it with qemu-img convert first", bake.ErrInvalid, path)
	}
	return meta, nil
}

// lfs is how a file begins that Git LFS has left in the place of a larger one.
const lfs = "version https://git-lfs"

// sniff tells qcow2 from raw by the magic number, so that qemu-img need not guess: a raw disk whose first sector somebody
// else wrote could pass for any format.
func sniff(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(lfs))
	if n, err := io.ReadFull(f, head); err != nil && n < 4 {
		return "", fmt.Errorf("%w: %s is no disk image: %w", bake.ErrInvalid, path, err)
	}
	if string(head) == lfs {
		return "", fmt.Errorf("%w: %s is a pointer of Git LFS to a file that is not here: run git lfs pull", bake.ErrInvalid, path)
	}
	for magic, name := range map[string]string{
		"KDMV": "vmdk", "vhdxfile": "vhdx", "\x1f\x8b\x08": "gzip", "\xfd7zXZ": "xz", "(\xb5/\xfd": "zstd", "BZh": "bzip2", "PK\x03\x04": "zip",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return "", fmt.Errorf("%w: %s is %s: want raw or qcow2: convert or unpack it first", bake.ErrInvalid, path, name)
		}
	}
	if bytes.HasPrefix(head, []byte("QFI\xfb")) {
		return "qcow2", nil
	}
	return "raw", nil
}

// Format is a disk format that other tools read.
type Format string

// The formats other than raw that a disk can be exported to.
const (
	QCOW2 Format = "qcow2" // compressed
	VMDK  Format = "vmdk"  // stream-optimised, as OVF and VMware's import want it
	VHD   Format = "vhd"   // of fixed size, as Azure wants it
)

// FromRaw writes the raw disk to out, an empty file, in another format. Neither file needs a name.
func FromRaw(ctx context.Context, raw, out *os.File, to Format) error {
	var options []string
	switch to {
	case QCOW2:
		options = []string{"-O", "qcow2", "-c"}
	case VMDK:
		options = []string{"-O", "vmdk", "-o", "subformat=streamOptimized"}
	case VHD:
		options = []string{"-O", "vpc", "-o", "subformat=fixed,force_size=on"}
	default:
		return fmt.Errorf("%w format %q: want qcow2, vmdk or vhd", bake.ErrInvalid, to)
	}
	args := slices.Concat([]string{"convert", "-f", "raw"}, options, []string{"/dev/fd/3", "/dev/fd/4"})
	if _, err := run(ctx, []*os.File{raw, out}, args...); err != nil {
		return fmt.Errorf("convert to %s: %w", to, err)
	}
	return nil
}

func run(ctx context.Context, files []*os.File, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "qemu-img", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &stdout, &stderr, files
	err := child.Run(cmd)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("qemu-img is not installed: install it, on Debian and Ubuntu with apt-get install qemu-utils: %w", err)
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("qemu-img %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
