package asg_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test/localcloud"
)

// through answers operations itself where answer returns something, and passes on all others.
func (w *world) through(answer func(operation string, r *http.Request) (*http.Response, error)) tripper {
	return func(r *http.Request) (*http.Response, error) {
		operation := ""
		if r.Body != nil {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(body))
			if form, err := url.ParseQuery(string(body)); err == nil {
				operation = form.Get("Action")
			}
		}
		if resp, err := answer(operation, r); resp != nil || err != nil {
			return resp, err
		}
		return w.cloud.Client().Transport.RoundTrip(r)
	}
}

// says is an answer of AWS.
func says(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// unlisted is what AWS answers while it does not list a refresh.
func unlisted(r *http.Request) *http.Response {
	return says(r, http.StatusOK, `<DescribeInstanceRefreshesResponse><DescribeInstanceRefreshesResult><InstanceRefreshes></InstanceRefreshes>`+
		`</DescribeInstanceRefreshesResult></DescribeInstanceRefreshesResponse>`)
}

// A refresh that AWS does not list in the first seconds has not failed: a rollout that has just begun would turn round.
func TestARefreshThatIsNotListedYet(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	hidden := 0
	f := w.fleetThrough(strategy(), w.through(func(operation string, r *http.Request) (*http.Response, error) {
		if operation == "DescribeInstanceRefreshes" && hidden > 0 {
			hidden--
			return unlisted(r), nil
		}
		return nil, nil //nolint:nilnil // it passes
	}))
	r := w.begin(f, w.rollout(strategy()))
	r.At = w.cloud.Now()
	hidden = 1
	if o, err := f.Observe(t.Context(), r); err == nil || errors.Is(err, bake.ErrRefused) {
		t.Fatalf("got %+v, %v", o, err)
	}
	if o, err := f.Observe(t.Context(), r); err != nil || o.State.Ended() {
		t.Errorf("got %+v, %v", o, err)
	}
	w.advance(3 * time.Minute)
	hidden = 1
	if o, err := f.Observe(t.Context(), r); err != nil || o.State != promote.Failing {
		t.Errorf("a refresh that AWS has forgotten: %+v, %v", o, err)
	}
}

// The answer to the start was lost, and the refresh is not listed when it is looked for: the next try finds it.
func TestAStartWhoseRefreshIsNotListedYet(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	lost, hidden := false, 0
	f := w.fleetThrough(strategy(), w.through(func(operation string, r *http.Request) (*http.Response, error) {
		switch {
		case operation == "StartInstanceRefresh" && !lost:
			lost, hidden = true, 1
			resp, err := w.cloud.Client().Transport.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			return nil, errors.Join(resp.Body.Close(), io.ErrUnexpectedEOF)
		case operation == "DescribeInstanceRefreshes" && hidden > 0:
			hidden--
			return unlisted(r), nil
		}
		return nil, nil //nolint:nilnil // it passes
	}))
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	r.At = w.cloud.Now()
	if _, err = f.Start(t.Context(), r); err == nil || errors.Is(err, bake.ErrRefused) {
		t.Fatalf("got %v", err)
	}
	r, err = f.Start(t.Context(), r)
	if err != nil || r.Refresh == "" || len(w.refreshes()) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// What was made a moment ago and is not known is worth another try; later on it is a refusal.
func TestNotKnownYet(t *testing.T) {
	for name, text := range map[string]string{
		"version": "Could not find the specified version 2 for the launch template with ID lt-1.",
		"image":   "The image id '[ami-1]' does not exist",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.addGroup(2)
			f := w.fleet(strategy())
			r, err := f.Stage(t.Context(), w.rollout(strategy()))
			ok(t, err)
			ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: fmt.Appendf(nil, `
version: 1
rules:
- match: { operation: StartInstanceRefresh, times: 2 }
  do: { error: { status: 400, code: ValidationError, message: "You must use a valid fully-formed launch template. %s" } }
`, text)}))
			r.At = w.cloud.Now()
			if _, err = f.Start(t.Context(), r); err == nil || errors.Is(err, bake.ErrRefused) {
				t.Errorf("at first: %v", err)
			}
			w.advance(3 * time.Minute)
			if _, err = f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) {
				t.Errorf("later on: %v", err)
			}
			if r, err = f.Start(t.Context(), r); err != nil || r.Refresh == "" {
				t.Errorf("when it is known: %v", err)
			}
		})
	}
}

// A version that was made to pin a parameter is not found at once.
func TestAPinnedVersionThatIsNotSeenYet(t *testing.T) {
	w := newWorld(t, "")
	w.parameter("/pinned", w.images[0])
	w.addGroup(2, aliased(w.addVersion(w.template, "resolve:ssm:/pinned")))
	hide := false
	f := w.fleetThrough(strategy(), w.through(func(operation string, r *http.Request) (*http.Response, error) {
		switch {
		case operation == "UpdateAutoScalingGroup":
			hide = true
		case operation == "DescribeLaunchTemplateVersions" && hide:
			hide = false
			return says(r, http.StatusBadRequest, `<Response><Errors><Error><Code>InvalidLaunchTemplateId.VersionNotFound</Code><Message>Could not find the `+
				`specified version 3</Message></Error></Errors><RequestID>1</RequestID></Response>`), nil
		}
		return nil, nil //nolint:nilnil // it passes
	}))
	r := w.rollout(strategy())
	r.At = w.cloud.Now()
	if _, err := f.Stage(t.Context(), r); err == nil || errors.Is(err, bake.ErrRefused) {
		t.Fatalf("got %v", err)
	}
	r, err := f.Stage(t.Context(), r)
	if err != nil || r.Moves[0].From != "3" || r.Moves[0].To != "4" || len(w.versions(w.template)) != 4 {
		t.Errorf("got %+v, %v", r.Moves, err)
	}
}
