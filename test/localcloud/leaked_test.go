package localcloud_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/test/localcloud"
)

// Of every table somebody has decided whether its records are resources that can be left behind.
func TestLeakedKnowsEveryTable(t *testing.T) {
	parts := []string{ // of other resources, or what nobody has to clean up
		"Settings", "Refreshes", "Drafts", "Metrics", "Tokens",
	}
	cloud := simulated(t, localcloud.Config{})
	tables := cloud.PutOneOfEach("eu-west-1")
	found := map[string]bool{}
	for _, r := range cloud.Leaked() {
		found[r.ID[strings.Index(r.ID, "/")+1:]] = true
		if r.Region != "eu-west-1" || r.Type == "" {
			t.Errorf("%+v", r)
		}
	}
	for _, table := range tables {
		if part := slices.Contains(parts, table); found[table] == part {
			t.Errorf("%s: leaked is %v, and it is a part of something else is %v", table, found[table], part)
		}
	}
	if s, err := cloud.Status(); err != nil || len(s.Regions) != 1 || len(s.Regions[0].Counts) != len(tables) || len(s.Instances) != 1 {
		t.Errorf("%+v %v", s, err)
	}
}

// Nobody is told of what could not be kept.
func TestNoAnswerBeforeItIsKept(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{{nil, 201, "done"}, {errors.New("disk full"), 503, "disk full"}} {
		rec := httptest.NewRecorder()
		asked := 0
		w := localcloud.KeptFirst(rec, func() error {
			asked++
			if rec.Body.Len() > 0 {
				t.Error("too late")
			}
			return c.err
		})
		w.Header().Set("Content-Length", "8")
		w.WriteHeader(http.StatusCreated)
		for range 2 {
			if _, err := io.WriteString(w, "done"); !errors.Is(err, c.err) {
				t.Errorf("got %v", err)
			}
		}
		if asked != 1 || rec.Code != c.status || !strings.Contains(rec.Body.String(), c.body) {
			t.Errorf("asked %d times, %d %s", asked, rec.Code, rec.Body)
		}
		if c.err != nil && rec.Header().Get("Content-Length") == "8" {
			t.Error("the length is that of another answer")
		}
	}
}
