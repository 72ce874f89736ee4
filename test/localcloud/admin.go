package localcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxDocument bounds a document that somebody sends.
const maxDocument = 1 << 20

// errNotFound is wrapped when what was asked for does not exist.
var errNotFound = errors.New("not found")

// adminRoutes is what admin.Client asks for.
func (c *Cloud) adminRoutes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := answer(r)
			if err != nil {
				writeError(w, statusOf(err), err)
				return
			}
			writeJSON(w, http.StatusOK, v)
		})
	}
	handle("GET "+admin.Prefix+"health", func(*http.Request) (any, error) { return struct{}{}, nil })
	handle("GET "+admin.Prefix+"status", func(*http.Request) (any, error) { return c.Status() })
	handle("GET "+admin.Prefix+"leaked", func(*http.Request) (any, error) { return append([]admin.Resource{}, c.Leaked()...), nil })
	handle("GET "+admin.Prefix+"console", func(r *http.Request) (any, error) { return c.console(r.FormValue("instance")) })
	handle("POST "+admin.Prefix+"reset", func(*http.Request) (any, error) { return struct{}{}, c.Reset() })
	handle("POST "+admin.Prefix+"clock", c.advanceClock)
	handle("POST "+admin.Prefix+"images", c.postImage)
	handle("PUT "+admin.Prefix+"faults", c.putFaults)
	mux.HandleFunc(admin.Prefix, func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, errNotFound))
	})
	return mux
}

func (c *Cloud) advanceClock(r *http.Request) (any, error) {
	d, err := time.ParseDuration(r.FormValue("advance"))
	if err != nil || d < 0 {
		return nil, fmt.Errorf("advance=%s: %w: want a time such as 90s or 1h30m", strconv.Quote(r.FormValue("advance")), errRequest)
	}
	if err := c.Advance(d); err != nil {
		return nil, err
	}
	return map[string]time.Time{"time": c.Now()}, nil
}

func (c *Cloud) putFaults(r *http.Request) (any, error) {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("faults: %w: %w", errRequest, err)
	}
	return struct{}{}, c.SetFaults(Document{Name: "faults", Text: text})
}

func (c *Cloud) postImage(r *http.Request) (any, error) {
	var img admin.Image
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxDocument))
	d.DisallowUnknownFields()
	if err := d.Decode(&img); err != nil {
		return nil, fmt.Errorf("image: %w: %w", errRequest, err)
	}
	id, err := c.Import(r.Context(), img)
	return map[string]string{"id": id}, err
}

// errRequest is wrapped when a request makes no sense.
var errRequest = errors.New("bad request")

func statusOf(err error) int {
	var refused *wire.Error
	switch {
	case errors.As(err, &refused):
		return http.StatusConflict
	case errors.Is(err, errNotFound), errors.Is(err, disk.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, errRequest), errors.Is(err, bake.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrSimulatedOnly):
		return http.StatusConflict
	case errors.Is(err, errClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func writeError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, admin.Error{Text: err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer is no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone
}
