package download_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/download"
)

// content returns n bytes that repeat nowhere.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func file(t *testing.T, url string, body []byte) download.File {
	t.Helper()
	sum := sha256.Sum256(body)
	return download.File{
		URL: url, SHA256: hex.EncodeToString(sum[:]), Dir: t.TempDir(), Progress: func(int64, int64) {}, Pause: time.Millisecond,
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func wantContent(t *testing.T, path string, body []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, body) {
		t.Fatalf("got %d bytes that are not the %d served", len(got), len(body))
	}
}

// wantOnly fails unless the folder holds just these names.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Fatalf("folder holds %q, want %q", got, names)
	}
}

func TestGetFetchesOnceAndReportsProgress(t *testing.T) {
	body := content(300_000)
	var requests atomic.Int32
	d := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}), body)
	var done, total int64
	d.Progress = func(d, t int64) { done, total = d, t }
	for range 2 {
		path, err := d.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantContent(t, path, body)
	}
	if requests.Load() != 1 || done != int64(len(body)) || total != done {
		t.Fatalf("%d requests, progress %d of %d", requests.Load(), done, total)
	}
	wantOnly(t, d.Dir, d.SHA256)
}

// What is used counts as new: iibake gc removes downloads by their age.
func TestGetTouchesWhatItHas(t *testing.T) {
	f := file(t, "http://127.0.0.1:1/gone", []byte("body"))
	path := filepath.Join(f.Dir, f.SHA256)
	long := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := errors.Join(os.WriteFile(path, []byte("body"), 0o644), os.Chtimes(path, long, long)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || !info.ModTime().After(long) {
		t.Errorf("%v %v", info, err)
	}
}

func TestGetGoesOnWhereItStopped(t *testing.T) {
	body := content(100_000)
	var ranges []string
	d := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		if len(ranges) == 1 { // breaks off in the middle
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body[:40_000])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}), body)
	path, err := d.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, body)
	if len(ranges) != 2 || ranges[0] != "" || !strings.HasPrefix(ranges[1], "bytes=") {
		t.Fatalf("ranges asked for: %q", ranges)
	}
}

func TestGetGoesOnAfterAnotherProcess(t *testing.T) {
	body := content(100_000)
	for name, have := range map[string]int{"half": 50_000, "all": 100_000} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			d := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				http.ServeContent(rec, r, "", time.Time{}, bytes.NewReader(body))
				if rec.Code == http.StatusPartialContent {
					sent.Add(int64(rec.Body.Len()))
				}
				maps.Copy(w.Header(), rec.Header())
				w.WriteHeader(rec.Code)
				_, _ = w.Write(rec.Body.Bytes())
			}), body)
			if err := os.WriteFile(filepath.Join(d.Dir, d.SHA256+".part"), body[:have], 0o600); err != nil {
				t.Fatal(err)
			}
			path, err := d.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantContent(t, path, body)
			if sent.Load() != int64(len(body)-have) {
				t.Fatalf("the server sent %d bytes, want %d", sent.Load(), len(body)-have)
			}
		})
	}
}

func TestGetStartsAgainWhereTheServerKnowsNoRanges(t *testing.T) {
	body := content(1000)
	d := file(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }), body)
	if err := os.WriteFile(filepath.Join(d.Dir, d.SHA256+".part"), []byte("of an older file"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := d.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, body)
}

// A power failure may leave anything in what had arrived, and a mirror may go on with another file: that is no reason to tell people to
// trust a new digest.
func TestGetFetchesTheWholeFileWherePiecesDoNotFit(t *testing.T) {
	body := content(100_000)
	for name, have := range map[string]int{"half": 50_000, "all": 100_000, "more": 100_001} {
		t.Run(name, func(t *testing.T) {
			d := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
			}), body)
			if err := os.WriteFile(filepath.Join(d.Dir, d.SHA256+".part"), make([]byte, have), 0o600); err != nil {
				t.Fatal(err)
			}
			path, err := d.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantContent(t, path, body)
			wantOnly(t, d.Dir, d.SHA256)
		})
	}
}

// A full disk does not get emptier by asking the server again.
func TestGetTellsOfAFullDisk(t *testing.T) {
	var requests atomic.Int32
	d := file(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write([]byte("content"))
	}), []byte("content"))
	if err := os.Symlink("/dev/full", filepath.Join(d.Dir, d.SHA256+".part")); err != nil {
		t.Fatal(err)
	}
	_, err := d.Get(t.Context())
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room on the filesystem of "+d.Dir) || requests.Load() != 1 {
		t.Fatalf("after %d requests: %v", requests.Load(), err)
	}
}

// Whoever waits while another process finds its file wrong must not go on with that: it has no name any more.
func TestGetGoesOnBehindWhoFailed(t *testing.T) {
	body := content(1000)
	var requests atomic.Int32
	began, wrong := make(chan struct{}), make(chan struct{})
	d := file(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 1 {
			close(began)
			<-wrong
			_, _ = w.Write([]byte("forged"))
			return
		}
		_, _ = w.Write(body)
	}), body)
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := d.Get(t.Context()); !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("the first: %v", err)
		}
	})
	<-began
	both.Go(func() {
		path, err := d.Get(t.Context())
		if err != nil {
			t.Errorf("the second: %v", err)
			return
		}
		wantContent(t, path, body)
	})
	waitForOpen(t, filepath.Join(d.Dir, d.SHA256+".part"), 2)
	close(wrong)
	both.Wait()
	wantOnly(t, d.Dir, d.SHA256)
}

// waitForOpen waits until this process has a file open n times.
func waitForOpen(t *testing.T, name string, n int) {
	t.Helper()
	for open := 0; open < n; {
		open = 0
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == name {
				open++
			}
		}
		if t.Context().Err() != nil {
			t.Fatal("nobody waits for the file")
		}
		runtime.Gosched()
	}
}

func TestGetKeepsWhatIsPackedPacked(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("content")); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	d := file(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip") // as many servers do with .gz
		_, _ = w.Write(packed.Bytes())
	}), packed.Bytes())
	path, err := d.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, packed.Bytes())
}

func TestGetRefusesWrongContent(t *testing.T) {
	d := file(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("forged")) }), []byte("real"))
	_, err := d.Get(t.Context())
	if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), d.SHA256) {
		t.Fatalf("got %v", err)
	}
	wantOnly(t, d.Dir)
}

func TestGetTellsPassingErrorsFromLastingOnes(t *testing.T) {
	for status, wantRequests := range map[int]int32{
		http.StatusNotFound: 1, http.StatusForbidden: 1, http.StatusServiceUnavailable: 5, http.StatusTooManyRequests: 5,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			var requests atomic.Int32
			d := file(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.WriteHeader(status)
			}), nil)
			_, err := d.Get(t.Context())
			if err == nil || !strings.Contains(err.Error(), d.URL) || !strings.Contains(err.Error(), strconv.Itoa(status)) {
				t.Fatalf("got %v", err)
			}
			if requests.Load() != wantRequests {
				t.Fatalf("%d requests, want %d", requests.Load(), wantRequests)
			}
		})
	}
}

func TestGetEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	release := make(chan struct{})
	defer close(release)
	d := file(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("12345"))
		_ = http.NewResponseController(w).Flush()
		cancel(stop)
		<-release
	}), []byte("1234567890"))
	if _, err := d.Get(ctx); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	wantOnly(t, d.Dir, d.SHA256+".part")
}

func TestManyGetsShareOneDownload(t *testing.T) {
	body := content(200_000)
	var requests atomic.Int32
	d := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}), body)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := d.Get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if requests.Load() != 1 {
		t.Fatalf("%d requests, want 1", requests.Load())
	}
}
