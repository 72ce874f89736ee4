package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func parse(t testing.TB, text string) *fault.File {
	t.Helper()
	f, err := fault.Parse("faults.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newRules returns the rules of a file on a virtual clock.
func newRules(t testing.TB, text string) (*fault.Rules, *clock.Virtual) {
	t.Helper()
	v := clock.NewVirtual(start)
	r := fault.New(v, 1)
	r.Set(parse(t, "version: 1\n"+text))
	return r, v
}

func call(service, operation string) *wire.Call {
	return &wire.Call{Service: service, Operation: operation, Account: "111122223333", Region: "eu-west-1"}
}

// fates makes a call n times and returns a 0 for each that succeeds, a letter for each that does not.
func fates(t testing.TB, r *fault.Rules, c *wire.Call, n int) string {
	t.Helper()
	var all strings.Builder
	for range n {
		switch err := r.Before(t.Context(), c); {
		case err != nil:
			all.WriteByte('E')
		case r.After(t.Context(), c) != nil:
			all.WriteByte('L')
		default:
			all.WriteByte('0')
		}
	}
	return all.String()
}

func TestWhichCallsFail(t *testing.T) {
	for name, c := range map[string]struct{ rules, want string }{
		"none":           {"", "0000000000"},
		"all":            {"rules: [{ do: { throttle: true } }]", "EEEEEEEEEE"},
		"nth":            {"rules: [{ match: { nth: 2 }, do: { throttle: true } }]", "0E00000000"},
		"every":          {"rules: [{ match: { every: 4 }, do: { fail: internal } }]", "000E000E00"},
		"times":          {"rules: [{ match: { after: 3, times: 2 }, do: { fail: unavailable } }]", "000EE00000"},
		"lost":           {"rules: [{ match: { every: 3 }, do: { lose: true } }]", "00L00L00L0"},
		"both":           {"rules: [{ match: { every: 2 }, do: { throttle: true } }, { match: { every: 2 }, do: { lose: true } }]", "0ELE0ELE0E"},
		"service":        {"rules: [{ match: { service: ebs }, do: { throttle: true } }]", "0000000000"},
		"operation":      {"rules: [{ match: { operation: Describe* }, do: { throttle: true } }]", "EEEEEEEEEE"},
		"another region": {"rules: [{ match: { region: us-* }, do: { throttle: true } }]", "0000000000"},
		"account":        {`rules: [{ match: { account: "111122223333", region: eu-west-1 }, do: { throttle: true } }]`, "EEEEEEEEEE"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRules(t, c.rules)
			if got := fates(t, r, call("ec2", "DescribeImages"), 10); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestErrorsAreTheServicesOwn(t *testing.T) {
	for _, c := range []struct{ do, service, want string }{
		{"throttle: true", "ec2", "503 RequestLimitExceeded: Request limit exceeded."},
		{"throttle: true", "autoscaling", "400 Throttling: Rate exceeded"},
		{"throttle: true", "monitoring", "400 Throttling: Rate exceeded"},
		{"throttle: true", "sts", "400 Throttling: Rate exceeded"},
		{"throttle: true", "elasticloadbalancing", "400 ThrottlingException: Rate exceeded"},
		{"throttle: true", "ssm", "400 ThrottlingException: Rate exceeded"},
		{"throttle: true", "s3", "503 SlowDown: Please reduce your request rate."},
		{"throttle: true", "ebs", "400 RequestThrottledException: The number of API requests has exceeded the maximum allowed API request throttling limit."},
		{"fail: internal", "ec2", "500 InternalError: An internal error has occurred"},
		{"fail: internal", "autoscaling", "500 InternalFailure: An internal failure has occurred"},
		{"fail: internal", "ebs", "500 InternalServerException: An internal error has occurred."},
		{"fail: internal", "ssm", "500 InternalServerError: An error occurred on the server side."},
		{"fail: internal", "monitoring", "500 InternalServiceError: An internal failure has occurred"},
		{"fail: unavailable", "ec2", "503 Unavailable: The service is unavailable. Please try again shortly."},
		{"fail: unavailable", "ebs", "503 ServiceUnavailable: Service is unavailable."},
		{"error: { code: UnauthorizedOperation, status: 403, message: no }", "ec2", "403 UnauthorizedOperation: no"},
	} {
		r, _ := newRules(t, "rules: [{ do: { "+c.do+" } }]")
		var e *wire.Error
		if err := r.Before(t.Context(), call(c.service, "X")); !errors.As(err, &e) || fmt.Sprintf("%d %s", e.Status, e) != c.want {
			t.Errorf("%s of %s: got %v, want %s", c.do, c.service, err, c.want)
		}
	}
}

func TestLostAnswers(t *testing.T) {
	r, _ := newRules(t, "rules: [{ match: { operation: RunInstances }, do: { lose: true } }]")
	c := call("ec2", "RunInstances")
	if err := r.Before(t.Context(), c); err != nil {
		t.Errorf("the work is not done: %v", err)
	}
	if err := r.After(t.Context(), c); !errors.Is(err, wire.ErrNoAnswer) {
		t.Errorf("got %v", err)
	}
}

func TestHangsUntilTheClientGivesUp(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		r, v := newRules(t, "rules: [{ do: { hang: "+when+" } }]")
		ctx, cancel := context.WithCancel(t.Context())
		held, release := v.Hold(ctx)
		reached := make(chan struct{})
		v.AfterFunc(time.Minute, func() { close(reached) })
		ended := make(chan error, 1)
		go func() {
			err := r.Before(held, call("ec2", "X"))
			if when == "after" && err == nil {
				err = r.After(held, call("ec2", "X"))
			}
			ended <- err
		}()
		// The clock runs meanwhile: a request that hangs does not hold it.
		running, stop := context.WithCancel(t.Context())
		go v.Run(running, time.Hour)
		<-reached
		stop()
		select {
		case err := <-ended:
			t.Errorf("%s: did not hang: %v", when, err)
		default:
		}
		cancel()
		if err := <-ended; !errors.Is(err, wire.ErrNoAnswer) {
			t.Errorf("%s: got %v", when, err)
		}
		release()
		if r.Injected("hang") != 1 {
			t.Errorf("%s: counted %v", when, r.Counts())
		}
	}
}

func TestDelayIsOnTheCloudsClock(t *testing.T) {
	r, v := newRules(t, "rules: [{ match: { nth: 1 }, do: { delay: 10s } }, { do: { delay: 20s, throttle: true } }]")
	ended := make(chan error, 1)
	go func() { ended <- r.Before(t.Context(), call("ec2", "X")) }()
	for { // until the call waits
		if n, due := v.Pending(); n == 1 {
			if want := start.Add(30 * time.Second); !due.Equal(want) {
				t.Errorf("the call waits until %v, want %v", due, want)
			}
			break
		}
	}
	v.Advance(30 * time.Second)
	if err := <-ended; err == nil || !strings.HasPrefix(err.Error(), "RequestLimitExceeded") {
		t.Errorf("got %v", err)
	}
}

func TestLatencyEndsWithTheClient(t *testing.T) {
	r, _ := newRules(t, "rules: [{ do: { latency: never } }]")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Before(ctx, call("ec2", "X")); !errors.Is(err, wire.ErrNoAnswer) {
		t.Errorf("got %v", err)
	}
	r.Set(parse(t, "version: 1\nrules: [{ do: { latency: 1us..2us } }]"))
	if err := r.Before(t.Context(), call("ec2", "X")); err != nil || r.Injected("latency") != 1 {
		t.Errorf("got %v, counted %v", err, r.Counts())
	}
}

func TestChanceIsRepeatable(t *testing.T) {
	const text = "seed: %d\nrules: [{ match: { probability: 0.2 }, do: { throttle: true } }, { match: { probability: 0.2 }, do: { lose: true } }]"
	run := func(seed int) string {
		r, _ := newRules(t, fmt.Sprintf(text, seed))
		return fates(t, r, call("ec2", "X"), 200)
	}
	one, again := run(1), run(1)
	if one != again {
		t.Error("the same seed made others fail")
	}
	if one == run(2) {
		t.Error("another seed made the same fail")
	}
}

func TestCounts(t *testing.T) {
	r, _ := newRules(t, "rules: [{ match: { service: ec2, every: 2 }, do: { throttle: true } }, { match: { service: ebs }, do: { lose: true } }]")
	fates(t, r, call("ec2", "A"), 3)
	fates(t, r, call("ec2", "B"), 1)
	fates(t, r, call("ebs", "C"), 2)
	want := []fault.Count{
		{Rule: 1, Fault: "throttle", Service: "ec2", Operation: "A", Times: 1},
		{Rule: 1, Fault: "throttle", Service: "ec2", Operation: "B", Times: 1},
		{Rule: 2, Fault: "lose", Service: "ebs", Operation: "C", Times: 2},
	}
	if got := fmt.Sprint(r.Counts()); got != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := r.Injected("throttle"); n != 2 {
		t.Errorf("%d were throttled", n)
	}
	r.Set(&fault.File{})
	if len(r.Counts()) != 0 {
		t.Error("counts stay when the rules are replaced")
	}
}

func TestWindows(t *testing.T) {
	const text = "seed: 3\nwindows: { ebs:readable: 5s..60s, ssm:image-valid: never }"
	r, _ := newRules(t, text)
	again, _ := newRules(t, text)
	seen := map[time.Duration]bool{}
	for range 20 {
		d := r.Window("ebs:readable")
		if d < 5*time.Second || d > time.Minute || d != again.Window("ebs:readable") {
			t.Fatalf("got %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %d different windows", len(seen))
	}
	if d := r.Window("ssm:image-valid"); d != 24*time.Hour {
		t.Errorf("never is %v", d)
	}
	if d := r.Window("ebs:writable"); d != 0 {
		t.Errorf("a window that is not set is %v", d)
	}
}

func TestNoRulesAtAll(t *testing.T) {
	var r *fault.Rules
	if r.Before(t.Context(), call("ec2", "X")) != nil || r.After(t.Context(), call("ec2", "X")) != nil || r.Window("x") != 0 || r.Counts() != nil {
		t.Error("something failed")
	}
}

func TestMistakesInAFile(t *testing.T) {
	for text, want := range map[string]string{
		"rules: []":                                                        "f:1:1: this release reads version: 1",
		"version: 1\nthrottling: yes":                                      "f:2:13: throttling is aws or none",
		"version: 1\nwindows: { ebs:read: 1s }":                            `f:2:10: there is no window "ebs:read": there are ebs:readable, ebs:writable, ssm:image-valid`,
		"version: 1\nrules: [{ do: {} }]":                                  "f:2:15: the rule does nothing: add latency, delay, throttle, fail, error, lose or hang",
		"version: 1\nrules: [{ do: { hang: 3 } }]":                         "f:2:23: hang is before or after: the work is not done, or it is",
		"version: 1\nrules: [{ do: { fail: often } }]":                     "f:2:23: fail is internal or unavailable; write error: for any other",
		"version: 1\nrules: [{ do: { lose: true, throttle: true } }]":      "f:2:23: a rule does one of throttle and lose: write two rules",
		"version: 1\nrules: [{ do: { lose: true, latency: 1s } }]":         "f:2:15: what happens after the work has no latency: write two rules",
		"version: 1\nrules: [{ do: { error: { message: x } } }]":           "f:2:24: an error has a code",
		"version: 1\nrules: [{ do: { error: { code: X, status: 200 } } }]": "f:2:43: status lies from 400 to 599",
		"version: 1\nrules: [{ match: { services: ec2 }, do: { lose: true } }]": `f:2:20: unknown key "services": there are service, operation, account, region, nth, every, after, ` +
			"probability, times",
	} {
		_, err := fault.Parse("f", []byte(text))
		if err == nil {
			t.Errorf("%q was read", text)
			continue
		}
		if first, _, _ := strings.Cut(err.Error(), "\n"); first != want && err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestAFileSurvivesJSON(t *testing.T) {
	data, err := os.ReadFile("testdata/faults.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := fault.Parse("faults.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	again, err := fault.Parse("faults.json", text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	second, err := json.Marshal(again)
	if err != nil || string(second) != string(text) {
		t.Errorf("%s\nbecame\n%s", text, second)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("version: 1\nrules:\n- match: { every: 3 }\n  do: { hang: before, latency: 1s..2s }\nwindows: { ebs:readable: 3s }")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = fault.Parse("f", []byte(text)) })
}
