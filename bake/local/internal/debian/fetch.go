package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/pause"
)

const (
	attempts = 3
	pauseFor = time.Second     // before the second attempt, doubled for each further one
	limitOne = 2 * time.Minute // of one attempt
)

// transient is an error that may not come the next time.
type transient struct{ error }

// Unwrap returns the error itself.
func (t transient) Unwrap() error { return t.error }

// fetch returns the content of a file of an archive, or an error wrapping [bake.ErrNotFound]. It is an error for the file to
// have more than limit bytes.
func fetch(ctx context.Context, client *http.Client, address string, limit int64) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w address of an archive: %w", bake.ErrInvalid, err)
	}
	switch u.Scheme {
	case "file", "copy":
		return fetchFile(u.Path, limit)
	case "http", "https":
		return fetchHTTP(ctx, client, address, limit)
	}
	return nil, fmt.Errorf("%w address of an archive %q: want http, https or file", bake.ErrInvalid, address)
}

func fetchFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, bake.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readAll(f, limit)
}

func fetchHTTP(ctx context.Context, client *http.Client, address string, limit int64) ([]byte, error) {
	wait := pauseFor
	for n := 1; ; n++ {
		b, err := get(ctx, client, address, limit)
		switch {
		case err == nil:
			return b, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.As(err, new(transient)):
			return nil, fmt.Errorf("get %s: %w", address, err)
		case n == attempts:
			return nil, fmt.Errorf("get %s: %w: check the address, and the network and proxy of this machine", address, err)
		}
		if err := pause.For(ctx, wait); err != nil {
			return nil, err
		}
		wait *= 2
	}
}

func get(ctx context.Context, client *http.Client, address string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limitOne)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // servers that call .gz an encoding must not make Go unpack what has a digest
	resp, err := client.Do(req)
	if err != nil {
		return nil, transient{err}
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode == http.StatusNotFound:
		return nil, bake.ErrNotFound
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= http.StatusInternalServerError:
		return nil, transient{errors.New(resp.Status)}
	default:
		return nil, errors.New(resp.Status)
	}
	b, err := readAll(resp.Body, limit)
	if err != nil && int64(len(b)) <= limit {
		return nil, transient{err}
	}
	return b, err
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return b.Bytes(), err
}
