package layout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/internal/child"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// rootFeatures are the features of the root filesystem: what e2fsprogs 1.47 makes by default without what the GRUB of
// bookworm or an older kernel could not read, whatever the configuration of the machine says.
const rootFeatures = "none,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file," +
	"dir_nlink,extra_isize,metadata_csum"

const (
	blockSize     = 4096 // of the root filesystem
	inodeSize     = 256
	bytesPerInode = 16384
	journal       = 64 // MiB: enough for a disk that grows, and next to nothing as long as it is empty
	reserved      = 1  // percent kept for root
	// epoch is the time of everything that Create makes: a fixed one, for the same bytes each time.
	epoch = "1700000000"
)

// makeRoot makes the root filesystem. Inode tables are initialised now: nothing of it is written later, by nobody, and a
// zero block takes no room.
func (l Layout) makeRoot(ctx context.Context, f *os.File) error {
	options := fmt.Sprintf("offset=%d,lazy_itable_init=0,hash_seed=%s,root_owner=0:0", l.Root.Offset, derive(l.seed, "hash"))
	return run(ctx, f, "mke2fs", "-q", "-F", "-t", "ext4", "-O", rootFeatures, "-b", strconv.Itoa(blockSize),
		"-I", strconv.Itoa(inodeSize), "-i", strconv.Itoa(bytesPerInode), "-m", strconv.Itoa(reserved), "-L", "root", "-U", l.UUID, "-E", options,
		diskArg, strconv.FormatInt(l.Root.Size/blockSize, 10))
}

// AddJournal gives the root filesystem its journal. It must not be mounted.
func (l Layout) AddJournal(ctx context.Context, f *os.File) error {
	return run(ctx, f, "tune2fs", "-J", "size="+strconv.Itoa(journal), fmt.Sprintf("%s?offset=%d", diskArg, l.Root.Offset))
}

// makeESP makes the EFI system partition. The specification wants FAT32, which at this size takes clusters of one sector.
func (l Layout) makeESP(ctx context.Context, f *os.File) error {
	return run(ctx, f, "mkfs.vfat", "-F", "32", "-s", "1", "--invariant", "-n", "ESP", "-i", strings.ReplaceAll(l.ESPUUID, "-", ""),
		"--offset", strconv.FormatInt(l.ESP.Offset/sector, 10), diskArg, strconv.FormatInt(l.ESP.Size/1024, 10))
}

// WriteESP puts files into the EFI system partition, which is as Create left it. Keys are paths with slashes.
func (l Layout) WriteESP(ctx context.Context, f *os.File, files map[string][]byte) error {
	image := fmt.Sprintf("%s@@%d", diskArg, l.ESP.Offset)
	mmd := []string{"-i", image}
	for _, folder := range folders(files) {
		mmd = append(mmd, "::"+folder)
	}
	if err := run(ctx, f, "mmd", mmd...); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := mcopy(ctx, f, image, name, files[name]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func mcopy(ctx context.Context, f *os.File, image, name string, content []byte) error {
	local, err := disk.Scratch(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	defer func() { _ = local.Close() }()
	if _, err := local.Write(content); err != nil {
		return err
	}
	return runTool(ctx, []*os.File{f, local}, "mcopy", "-i", image, secondArg, "::"+name)
}

// folders returns the folders that files lie in, each after the one that it lies in.
func folders(files map[string][]byte) []string {
	set := map[string]bool{}
	for name := range files {
		for dir := path.Dir(path.Join("/", name)); dir != "/"; dir = path.Dir(dir) {
			set[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// How a program sees the files that it is given. They need not have a name.
const (
	diskArg   = "/dev/fd/3"
	secondArg = "/dev/fd/4"
)

// run runs a program of this machine that works on the disk.
func run(ctx context.Context, f *os.File, program string, args ...string) error {
	return runTool(ctx, []*os.File{f}, program, args...)
}

// runTool runs a program of this machine. Its error carries what the program said, or which package has it.
func runTool(ctx context.Context, files []*os.File, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.ExtraFiles = files
	// Times for e2fsprogs, dosfstools and mtools; a machine's own mke2fs.conf must not count.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "E2FSPROGS_FAKE_TIME="+epoch, "SOURCE_DATE_EPOCH="+epoch,
		"MKE2FS_CONFIG=/dev/null", "MTOOLS_SKIP_CHECK=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := child.Run(cmd)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: %s is not installed on this machine: run apt-get install %s", sandbox.ErrUnavailable, program, packages()[program])
	}
	return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(out.Bytes()))
}
