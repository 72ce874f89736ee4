package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// errKilled is what a process gets that does not live any more.
var errKilled = errors.New("the process was killed")

// fate is what happens at one call.
type fate string

const (
	fails      fate = "fails"       // the connection breaks before the call is carried out
	denied     fate = "is denied"   // an answer that will not change by itself
	loses      fate = "loses"       // it is carried out, and the answer lost
	throttles  fate = "throttles"   // this call and the nine after it are refused as too many
	killsFirst fate = "kills first" // the process dies before the call is carried out
	killsAfter fate = "kills after" // the process dies when the call was carried out
)

// chaos lets something happen at the nth step of a process: at a request, or, where the process dies, at a change of the catalog as well.
type chaos struct {
	fate  fate
	n     int64
	steps atomic.Int64
	dead  atomic.Bool
}

// hit counts a step and reports whether it is the one.
func (c *chaos) hit() bool {
	step := c.steps.Add(1)
	return step == c.n || c.fate == throttles && step >= c.n && step < c.n+10
}

func (c *chaos) transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		switch {
		case c.dead.Load():
			return nil, errKilled
		case !c.hit():
			return next.RoundTrip(r)
		}
		switch c.fate {
		case denied:
			return answer(r, http.StatusForbidden, map[string]string{"ec2": "UnauthorizedOperation", "ebs": "AccessDeniedException", "sts": "AccessDenied"}), nil
		case throttles:
			return answer(r, http.StatusServiceUnavailable, map[string]string{"ec2": "RequestLimitExceeded", "ebs": "RequestThrottledException", "sts": "Throttling"}), nil
		case killsFirst:
			c.dead.Store(true)
			return nil, errKilled
		case fails:
			return nil, io.ErrUnexpectedEOF
		case loses, killsAfter:
		}
		resp, err := next.RoundTrip(r)
		if err == nil {
			err = resp.Body.Close()
		}
		c.dead.Store(c.fate == killsAfter)
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	})
}

// answer is an error of the service that a request is for.
func answer(r *http.Request, status int, codes map[string]string) *http.Response {
	service := "ec2"
	for _, s := range []string{"ebs", "sts"} {
		if strings.Contains(r.Header.Get("Authorization"), "/"+s+"/aws4_request") {
			service = s
		}
	}
	var body string
	header := http.Header{}
	switch code := codes[service]; service {
	case "ec2":
		body = fmt.Sprintf(`<Response><Errors><Error><Code>%s</Code><Message>no</Message></Error></Errors><RequestID>1</RequestID></Response>`, code)
	case "ebs":
		header.Set("X-Amzn-Errortype", code)
		body = `{"Message":"no"}`
	default:
		body = fmt.Sprintf(`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code)
	}
	return &http.Response{
		StatusCode: status, Header: header, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// record lets the catalog die with the process.
func (c *chaos) record(next catalog.Catalog) catalog.Catalog { return mortal{next, c} }

// mortal is a catalog of a process that may die at each change.
type mortal struct {
	catalog.Catalog
	c *chaos
}

// Put implements catalog.Catalog.
func (m mortal) Put(ctx context.Context, key string, body []byte) error {
	return m.change(func() error { return m.Catalog.Put(ctx, key, body) })
}

// Swap implements catalog.Catalog.
func (m mortal) Swap(ctx context.Context, head string, old, next []byte) error {
	return m.change(func() error { return m.Catalog.Swap(ctx, head, old, next) })
}

// Get implements catalog.Catalog.
func (m mortal) Get(ctx context.Context, key string) ([]byte, error) {
	if m.c.dead.Load() {
		return nil, errKilled
	}
	return m.Catalog.Get(ctx, key)
}

func (m mortal) change(do func() error) error {
	if m.c.dead.Load() {
		return errKilled
	}
	if (m.c.fate == killsFirst || m.c.fate == killsAfter) && m.c.hit() {
		m.c.dead.Store(true)
		if m.c.fate == killsFirst {
			return errKilled
		}
		return errors.Join(do(), errKilled)
	}
	return do()
}

// steps returns how many steps publishing has where nothing happens.
func steps(t *testing.T, f fate) int64 {
	t.Helper()
	w := newWorld(t, "")
	c := &chaos{fate: f, n: -100}
	_, err := w.process(c.transport, c.record).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	ok(t, err)
	return c.steps.Load()
}

func chaosTargets() []string { return []string{"eu", "us", "eu-other"} }

func chaosTemplate() bake.Template {
	t := template(bake.BIOS)
	t.Publish.DeprecateAfter = bake.Duration(90 * 24 * 3600e9)
	return t
}

func chaosImage(w *world) bake.Image { return w.image(version(1), 2, blocks{0: 1, 2: 2}, "") }

// Whatever happens at whatever call, publishing once more ends well, with one AMI and one snapshot in each region.
func TestAnythingAtAnyCall(t *testing.T) {
	t.Parallel()
	for _, f := range []fate{fails, denied, loses, throttles, killsFirst, killsAfter} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			total := steps(t, f)
			if total < 20 {
				t.Fatalf("only %d steps", total)
			}
			every := int64(1)
			if testing.Short() {
				every = 5
			}
			for n := int64(1); n <= total; n += every {
				happens(t, f, n)
			}
		})
	}
}

func happens(t *testing.T, f fate, n int64) {
	t.Helper()
	w := newWorld(t, "")
	img, c := chaosImage(w), &chaos{fate: f, n: n}
	_, err := w.process(c.transport, c.record).Publish(t.Context(), img, chaosTemplate(), chaosTargets())
	if passes := f == fails || f == loses || f == throttles; passes && err != nil {
		t.Errorf("%s at call %d: it ends with %v", f, n, err)
	}
	if c.dead.Load() && !errors.Is(err, errKilled) {
		t.Errorf("%s at call %d: a dead process says %v", f, n, err)
	}
	got, err := w.process(nil, nil).Publish(t.Context(), img, chaosTemplate(), chaosTargets())
	if err != nil {
		t.Errorf("%s at call %d: after that %v", f, n, err)
		return
	}
	w.leaves("eu-west-1", "us-east-1")
	w.holds(w.target("eu"), got["eu"].Snapshot, img.Disk)
	w.holds(w.target("us"), got["us"].Snapshot, img.Disk)
	for name, a := range got {
		if ami := w.ami(name, a.AMI); a.Account == home && name != "eu-other" && ami.DeprecationTime == nil {
			t.Errorf("%s at call %d: %s will not be deprecated in %s", f, n, a.AMI, name)
		}
	}
	if t.Failed() {
		t.Fatalf("%s at call %d", f, n)
	}
}
