package endtoend_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// errKilled is what a process that is dead sees of everything.
var errKilled = errors.New("the process was killed")

// errLost is a connection that breaks.
var errLost = errors.New("connection reset by peer")

// fate is what becomes of a call.
type fate string

const (
	refuse     fate = "refuse"      // the service denies it, once
	fail       fate = "fail"        // the service breaks, once
	lose       fate = "lose"        // it is done, and the answer is lost
	throttle   fate = "throttle"    // ten times in a row it is one too many
	expire     fate = "expire"      // from this call on the credentials of the process are no longer good
	killBefore fate = "kill before" // the process dies before the call leaves
	killAfter  fate = "kill after"  // the process dies with the call done and the answer unread
)

// fates are all that can become of a call.
func fates() []fate { return []fate{refuse, fail, lose, throttle, expire, killBefore, killAfter} }

const throttles = 10

// call is one call of an API; its retries belong to it.
type call struct {
	service, operation string
	number             int // of all calls, from 1
	same               int // of the calls of this operation, from 1
}

func (c call) String() string { return fmt.Sprintf("%s %d (call %d)", c.operation, c.same, c.number) }

// wire is what a process has between itself and the cloud. It numbers the calls, and lets one of them meet its fate.
type wire struct {
	cloud http.RoundTripper
	fate  func(call) fate // "" for a call that nothing happens to
	death func()          // called when the process dies

	mu    sync.Mutex
	calls map[string]call // by the id that all tries of a call have
	all   []call
	tries map[string]int // that met their fate
	ops   map[string]int
	dead  bool
	stale bool // the credentials
}

func newWire(cloud http.RoundTripper) *wire {
	return &wire{cloud: cloud, fate: func(call) fate { return "" }, death: func() {}, calls: map[string]call{}, tries: map[string]int{}, ops: map[string]int{}}
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	c, n, err := w.number(r)
	if err != nil {
		return nil, err
	}
	what := w.fate(c)
	switch {
	case what == expire || w.expired():
		return refusal(r, c, w.expire()), nil
	case what == "" || n > 1 && what != throttle || n > throttles:
		return w.send(r)
	case what == killBefore:
		return nil, w.kill()
	case what == killAfter:
		w.forget(r)
		return nil, w.kill()
	case what == lose:
		w.forget(r)
		return nil, errLost
	}
	return refusal(r, c, what), nil
}

// number returns the call that a request is a try of, and how many tries there were, this one included.
func (w *wire) number(r *http.Request) (call, int, error) {
	service, operation, err := read(r)
	if err != nil {
		return call{}, 0, err
	}
	id := r.Header.Get("Amz-Sdk-Invocation-Id")
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return call{}, 0, errKilled
	}
	c, known := w.calls[id]
	if !known {
		w.ops[operation]++
		c = call{service: service, operation: operation, number: len(w.all) + 1, same: w.ops[operation]}
		w.calls[id] = c
		w.all = append(w.all, c)
	}
	w.tries[id]++
	return c, w.tries[id], nil
}

// send passes a request on. What answers arrives at no dead process.
func (w *wire) send(r *http.Request) (*http.Response, error) {
	answer, err := w.cloud.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead && err == nil {
		return nil, errors.Join(errKilled, answer.Body.Close())
	}
	return answer, err
}

// forget does what a request asks for, and loses the answer.
func (w *wire) forget(r *http.Request) {
	answer, err := w.cloud.RoundTrip(r)
	if err == nil {
		_ = answer.Body.Close()
	}
}

// expire ends the time of the credentials.
func (w *wire) expire() fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stale = true
	return expire
}

func (w *wire) expired() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stale
}

func (w *wire) kill() error {
	w.mu.Lock()
	w.dead = true
	w.mu.Unlock()
	w.death()
	return errKilled
}

func (w *wire) seen() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]call{}, w.all...)
}

// retries returns how many tries there were beyond the first of each call.
func (w *wire) retries() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := -len(w.all)
	for _, tries := range w.tries {
		n += tries
	}
	return n
}

// read returns the service and the operation that a request asks for.
func read(r *http.Request) (service, operation string, err error) {
	if parts := strings.Split(r.Header.Get("Authorization"), "/"); len(parts) > 3 {
		service = parts[3]
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, operation, _ = strings.Cut(target, ".")
		return service, operation, nil
	}
	if _, after, ok := strings.Cut(r.URL.Path, "/operation/"); ok {
		return service, after, nil
	}
	if service == "ebs" {
		return service, r.Method + " block", nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", "", err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	for pair := range strings.SplitSeq(string(body), "&") {
		if action, ok := strings.CutPrefix(pair, "Action="); ok {
			operation = action
		}
	}
	return service, operation, nil
}

// refusal is the answer of a service that does not do what it is asked for.
func refusal(r *http.Request, c call, what fate) *http.Response {
	status, code, text := 400, "Throttling", "Rate exceeded"
	switch what {
	case refuse:
		status, code, text = 403, "AccessDenied", "User: arn:aws:iam::000000000000:user/x is not authorized to perform: "+c.service+":"+c.operation
	case fail:
		status, code, text = 500, "InternalFailure", "An internal error has occurred"
	case expire:
		status, code, text = 400, "ExpiredTokenException", "The security token included in the request is expired"
	case throttle, lose, killBefore, killAfter:
	}
	answer := &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Amzn-Requestid": {"0"}}, Request: r,
	}
	body := errorBody(answer.Header, c.service, code, text)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer
}

// errorBody writes an error as the protocol of its service has it.
func errorBody(h http.Header, service, code, text string) []byte {
	switch service {
	case "ec2":
		h.Set("Content-Type", "text/xml")
		return fmt.Appendf(nil, "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>0</RequestID></Response>", code, text)
	case "ebs", "ssm":
		h.Set("Content-Type", "application/json")
		h.Set("X-Amzn-Errortype", code)
		return fmt.Appendf(nil, `{"__type": %q, "message": %q, "Message": %q}`, code, text, text)
	case "monitoring":
		h.Set("Content-Type", "application/cbor")
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
		body, err := cbor.Marshal(map[string]string{"__type": code, "message": text})
		if err != nil {
			panic(err) // of a map of strings
		}
		return body
	}
	h.Set("Content-Type", "text/xml")
	return fmt.Appendf(nil, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>0</RequestId></ErrorResponse>", code, text)
}
