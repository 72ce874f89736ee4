// Package download fetches large files once, verified, and goes on where an interrupted download stopped.
package download

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
	"github.com/iibake/iibake/bake/internal/pause"
)

const (
	tries        = 5
	stallTimeout = 30 * time.Second // without a byte, after which a connection counts as dead
)

// errGone marks an answer that no further try will better.
var errGone = errors.New("the server refuses")

// File is a file that is fetched once and kept under its digest.
type File struct {
	URL      string
	SHA256   string // hexadecimal
	Dir      string // where it is kept; made if it does not exist
	Progress func(done, total int64)
	Pause    time.Duration // before the second try, doubled for each later one; one second where zero
}

// Get returns the path of the verified file. A download that was interrupted goes on where it stopped, also in another
// process; one that turns out wrong is removed, and the error wraps [bake.ErrInvalid].
func (d File) Get(ctx context.Context) (string, error) {
	path, err := d.get(ctx)
	if err != nil {
		return "", fmt.Errorf("download %s: %w", d.URL, err)
	}
	return path, nil
}

func (d File) get(ctx context.Context) (string, error) {
	path := filepath.Join(d.Dir, d.SHA256)
	if exists(path) {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // iibake gc goes by it, and no bake fails over it
		return path, nil               // the name was given after the content was verified
	}
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return "", err
	}
	part, err := lock(ctx, path+".part")
	if err != nil {
		return "", err
	}
	defer func() { _ = part.Close() }()
	if exists(path) {
		return path, nil // the process that we waited for has fetched it
	}
	pieced, err := d.fetch(ctx, part)
	if err != nil {
		return "", err
	}
	if err = d.accept(part, path); pieced && errors.Is(err, bake.ErrInvalid) {
		// A piece may be of a machine that lost its power, or of a mirror that has something else: only what came as a whole is
		// held against the template.
		err = d.again(ctx, part, path)
	}
	if errors.Is(err, bake.ErrInvalid) {
		err = errors.Join(os.Remove(part.Name()), err)
	}
	return path, err
}

// lock opens a file and waits for its lock. Who had it before may have renamed or removed the file.
func lock(ctx context.Context, name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if err := flock.Lock(ctx, f, flock.Exclusive, nil); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		ours, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := os.Stat(name); err == nil && os.SameFile(ours, now) {
			return f, nil
		}
		_ = f.Close()
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// again fetches the whole file.
func (d File) again(ctx context.Context, part *os.File, path string) error {
	if err := part.Truncate(0); err != nil {
		return err
	}
	if _, err := d.fetch(ctx, part); err != nil {
		return err
	}
	return d.accept(part, path)
}

// fetch appends what is missing of the file, and tries again after errors that pass. It reports whether the file was put together of
// pieces.
func (d File) fetch(ctx context.Context, part *os.File) (pieced bool, err error) {
	wait, last := cmp.Or(d.Pause, time.Second), error(nil)
	for range tries {
		have, err := d.attempt(ctx, part)
		pieced = pieced || have > 0
		if err == nil || ctx.Err() != nil || errors.Is(err, errGone) {
			return pieced, err
		}
		if errors.As(err, new(*fs.PathError)) { // it is our file that fails
			return pieced, explainFull(err, d.Dir)
		}
		if err := pause.For(ctx, wait); err != nil {
			return pieced, err
		}
		wait *= 2
		last = err
	}
	return pieced, fmt.Errorf("gave up after %d tries (what has arrived is kept, the next build goes on from there): %w", tries, last)
}

func explainFull(err error, dir string) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: make room on the filesystem of %s: what has arrived is kept, the next build goes on from there", err, dir)
	}
	return err
}

// attempt fetches what is missing once, and returns how much of the file was there before.
func (d File) attempt(ctx context.Context, part *os.File) (have int64, err error) {
	if have, err = part.Seek(0, io.SeekEnd); err != nil {
		return have, err
	}
	ctx, stalled := context.WithCancelCause(ctx)
	defer stalled(nil)
	watchdog := time.AfterFunc(stallTimeout, func() { stalled(errors.New("no data for " + stallTimeout.String())) })
	defer watchdog.Stop()
	resp, err := d.request(ctx, have)
	if err != nil {
		return have, cause(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if have > 0 && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return have, nil // everything has arrived already; the digest decides
	}
	if have, err = start(resp, part, have); err != nil {
		return have, err
	}
	total := have + max(0, resp.ContentLength)
	_, err = io.Copy(part, &meter{r: resp.Body, each: func(n int64) {
		watchdog.Reset(stallTimeout)
		d.Progress(have+n, total)
	}})
	return have, cause(ctx, err)
}

// cause prefers the reason for which ctx ended to the error that it led to.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (d File) request(ctx context.Context, have int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // the digest is that of the file as it lies there
	if have > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
	}
	return http.DefaultClient.Do(req)
}

// start makes part ready for the answer's body and returns how much of the file comes before it.
func start(resp *http.Response, part *os.File, have int64) (int64, error) {
	switch {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
		return have, nil
	case resp.StatusCode == http.StatusOK:
		if have == 0 {
			return 0, nil
		}
		if _, err := part.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		return 0, part.Truncate(0) // the server knows no ranges, or the file has changed
	case resp.StatusCode >= http.StatusInternalServerError, resp.StatusCode == http.StatusTooManyRequests:
		return 0, errors.New(resp.Status)
	}
	return 0, fmt.Errorf("%w: %s", errGone, resp.Status)
}

// accept gives the file its name if its content is the promised one.
func (d File) accept(part *os.File, path string) error {
	if _, err := part.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, part); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != d.SHA256 {
		return fmt.Errorf("%w: it has the SHA-256 %s, the template says %s: correct the template if the new file is to be trusted",
			bake.ErrInvalid, got, d.SHA256)
	}
	if err := part.Sync(); err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

// meter tells how much was read.
type meter struct {
	r    io.Reader
	n    int64
	each func(n int64)
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.each(m.n)
	return n, err
}
