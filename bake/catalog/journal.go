package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/bake/internal/flock"
)

const (
	format = 1
	magic  = "iibake catalog "
	opPut  = "put"
	opSwap = "swap"
)

// entry is a line of the journal.
type entry struct {
	Seq   int64     `json:"seq"` // counts from one
	Time  time.Time `json:"time"`
	Op    string    `json:"op"` // put or swap
	Key   string    `json:"key"`
	Value string    `json:"value,omitempty"` // digest of what the key holds from now on; absent where the head was removed
	Prev  string    `json:"prev"`            // digest of the line before, without its newline
}

// digestOf names value by its SHA-256; absence has no name.
func digestOf(value []byte) string {
	if value == nil {
		return ""
	}
	sum := sha256.Sum256(value)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func header() string { return magic + strconv.Itoa(format) }

// readHeader reads the journal's first line, without its newline. A journal that was not given one yet has none.
func readHeader(f io.ReaderAt) (string, error) {
	buf := make([]byte, 64)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line, _, whole := strings.Cut(string(buf[:n]), "\n")
	version, known := strings.CutPrefix(line, magic)
	number, err := strconv.Atoi(version)
	switch {
	case whole && line == header():
		return line, nil
	case !whole && strings.HasPrefix(header(), line):
		return "", nil
	case whole && known && err == nil && number > format:
		return "", fmt.Errorf("it has format %d, and this release knows format %d: use a newer release of iibake", number, format)
	case whole && known && err == nil:
		return "", fmt.Errorf("it has format %d, and this release knows format %d: use an older release of iibake", number, format)
	}
	return "", fmt.Errorf("its journal begins with %q instead of %q: name another place for the catalog, or restore the journal",
		shorten(line), header())
}

func shorten(s string) string { return s[:min(len(s), 20)] }

// journal is the locked journal, as far as a change needs it: its end.
type journal struct {
	f    *os.File
	size int64  // bytes of whole lines
	last entry  // zero where there is none
	prev string // digest of the last line
}

// lock opens the journal, makes it where there is none, and waits until nobody else has it locked.
func (d *Dir) lock(ctx context.Context) (*os.File, error) {
	select {
	case d.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := d.openLocked(ctx)
	if err != nil {
		<-d.busy
	}
	return f, err
}

func (d *Dir) unlock(f *os.File) {
	_ = f.Close() // which unlocks it; every write was synced
	<-d.busy
}

func (d *Dir) openLocked(ctx context.Context) (*os.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := mkdirAll(d.dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.journal(), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lockFile(ctx, f, flock.Exclusive); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockFile waits for a lock on f that ends when f is closed or the process dies.
func lockFile(ctx context.Context, f *os.File, mode flock.Mode) error {
	err := flock.Lock(ctx, f, mode, nil)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("waiting for another process to leave the catalog: %w", err)
	}
	return err
}

// load reads the end of the locked journal f, cuts off a torn last line, and settles what a killed process left behind.
func (d *Dir) load(f *os.File) (*journal, error) {
	j := &journal{f: f}
	head, err := readHeader(f)
	if err != nil {
		return nil, err
	}
	if head == "" {
		err = j.write(0, []byte(header()+"\n"))
	}
	if err := errors.Join(err, j.readEnd()); err != nil {
		return nil, err
	}
	return j, d.settle(j)
}

// readEnd finds the last whole line.
func (j *journal) readEnd() error {
	const window = 16 << 10 // bytes; a line has less than a tenth of it
	size, err := j.f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	buf := make([]byte, min(size, window))
	if _, err := j.f.ReadAt(buf, size-int64(len(buf))); err != nil {
		return err
	}
	end := bytes.LastIndexByte(buf, '\n')
	j.size = size - int64(len(buf)-end-1)
	if end < 0 {
		return j.damaged(errors.New("no line ends"))
	}
	if j.size < size {
		if err := j.f.Truncate(j.size); err != nil {
			return err
		}
	}
	line := buf[bytes.LastIndexByte(buf[:end], '\n')+1 : end]
	j.prev = digestOf(line)
	if string(line) == header() {
		return nil
	}
	j.last, err = parseEntry(line)
	return j.damaged(err)
}

func (j *journal) damaged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: damaged at its end: %w: restore it, and see what iibake verify says", j.f.Name(), err)
}

func parseEntry(line []byte) (entry, error) {
	var e entry
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || dec.InputOffset() != int64(len(line)) {
		return entry{}, fmt.Errorf("unreadable entry %q", shorten(string(line)))
	}
	check := CheckRecord
	if e.Op == opSwap {
		check = CheckHead
	}
	if check(e.Key) != nil || e.Op != opPut && e.Op != opSwap || e.Op == opPut && e.Value == "" {
		return entry{}, fmt.Errorf("entry %d makes no sense: %s %q", e.Seq, e.Op, e.Key)
	}
	return e, nil
}

// append makes e the last entry, durably.
func (j *journal) append(e entry) error {
	e.Seq, e.Time, e.Prev = j.last.Seq+1, time.Now().UTC(), j.prev
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return j.write(j.size, append(line, '\n'))
}

// undo takes back what append wrote, or part of it.
func (j *journal) undo() error {
	if err := j.f.Truncate(j.size); err != nil {
		return err
	}
	return j.f.Sync()
}

func (j *journal) write(at int64, b []byte) error {
	if _, err := j.f.WriteAt(b, at); err != nil {
		return err
	}
	return j.f.Sync()
}
