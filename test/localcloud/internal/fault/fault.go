// Package fault makes the cloud fail as the real one does: throttling, errors, latency, lost answers, hangs, and windows in which what was
// done is not yet seen.
package fault

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/rules"
)

// File says how a cloud fails. As a file, or as JSON:
//
//	version: 1
//	seed: 7
//	throttling: aws                                 # the token buckets that AWS documents; none: as many requests as one likes
//	rules:
//	- match: { service: ec2, operation: "Describe*", probability: 0.05 }
//	  do: { throttle: true }
//	- match: { operation: RunInstances, nth: 3 }
//	  do: { lose: true }
//	windows:
//	  ebs:readable: 5s..60s
//
// Each rule counts the calls that match it by itself, whatever the others do. Latencies add up; of the rules that answer the first does.
type File struct {
	Version    int                   `json:"version"              yaml:"version"`
	Seed       uint64                `json:"seed,omitempty"       yaml:"seed"`
	Throttling string                `json:"throttling,omitempty" yaml:"throttling"`
	Rules      []Rule                `json:"rules,omitempty"      yaml:"rules"`
	Windows    map[string]clock.Span `json:"windows,omitempty"    yaml:"windows"`
}

// Rule is what happens to some calls.
type Rule struct {
	Match Match  `json:"match" yaml:"match"`
	Do    Action `json:"do"    yaml:"do"`
}

// Match says which calls a rule is for: all that match its patterns (* and ?; empty matches everything), as often as the odds say. They
// count the calls that match, or, of a rule that works after the call, those among them that succeeded.
type Match struct {
	Service     string  `json:"service,omitempty"     yaml:"service"` // as in signatures: ec2, autoscaling, ebs, ssm, monitoring, elasticloadbalancing, sts
	Operation   string  `json:"operation,omitempty"   yaml:"operation"`
	Account     string  `json:"account,omitempty"     yaml:"account"`
	Region      string  `json:"region,omitempty"      yaml:"region"`
	Nth         int     `json:"nth,omitempty"         yaml:"nth"`
	Every       int     `json:"every,omitempty"       yaml:"every"`
	After       int     `json:"after,omitempty"       yaml:"after"`
	Probability float64 `json:"probability,omitempty" yaml:"probability"`
	Times       int     `json:"times,omitempty"       yaml:"times"`
}

// Action is what a rule does. Latency and delay go together with the others, of which there is one at most.
type Action struct {
	// Latency passes on the host's clock before the call is looked at: clients live, and time out, in the time of the host.
	Latency *clock.Span `json:"latency,omitempty" yaml:"latency"`
	// Delay passes on the cloud's clock. A virtual one must be moved by somebody else meanwhile, or move by itself.
	Delay    *clock.Span `json:"delay,omitempty"    yaml:"delay"`
	Throttle bool        `json:"throttle,omitempty" yaml:"throttle"` // the service's own throttling error
	Fail     string      `json:"fail,omitempty"     yaml:"fail"`     // internal or unavailable: the service's own error with a status of 500 or 503
	Error    *Failure    `json:"error,omitempty"    yaml:"error"`    // any other
	Lose     bool        `json:"lose,omitempty"     yaml:"lose"`     // the work is done, the answer is lost with the connection
	Hang     string      `json:"hang,omitempty"     yaml:"hang"`     // before or after the work, until the client gives up
}

// Failure is an error of a service, as wire.Error.
type Failure struct {
	Status  int    `json:"status,omitempty"  yaml:"status"` // 400 where it is 0
	Code    string `json:"code"              yaml:"code"`
	Message string `json:"message,omitempty" yaml:"message"`
	Reason  string `json:"reason,omitempty"  yaml:"reason"`
}

// Windows are the eventual consistencies that can be set, with what they are. That EC2 does not know yet what it has just made is a rule:
//
//   - match: { operation: DescribeInstances, nth: 1 }
//     do: { error: { code: InvalidInstanceID.NotFound, message: "The instance ID does not exist" } }
func Windows() map[string]string {
	return map[string]string{
		"ebs:readable":    "from the completion of a snapshot until EBS direct knows it; recorded: 5 to 55 s",
		"ebs:writable":    "from StartSnapshot until its blocks can be put; reported by users: up to 56 s",
		"ssm:image-valid": "from PutParameter of an image until the parameter is valid",
	}
}

// Parse reads a File. The error names every mistake with file:line:column.
func Parse(file string, data []byte) (*File, error) {
	f := &File{}
	if err := rules.Decode(file, data, f); err != nil {
		return nil, err
	}
	return f, nil
}

// Check is for rules.Decode.
func (f *File) Check(fail func(key, text string)) {
	if f.Version != 1 {
		fail("version", "this release reads version: 1")
	}
	if f.Throttling != "" && f.Throttling != "aws" && f.Throttling != "none" {
		fail("throttling", "throttling is aws or none")
	}
	known := Windows()
	for _, kind := range slices.Sorted(maps.Keys(f.Windows)) {
		if known[kind] == "" {
			fail("windows", fmt.Sprintf("there is no window %q: there are %s", kind, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		}
	}
}

// Check is for rules.Decode.
func (m *Match) Check(fail func(key, text string)) { m.odds().Check(fail) }

// Check is for rules.Decode.
func (a *Action) Check(fail func(key, text string)) {
	var answers []string
	for _, answer := range []struct {
		key string
		set bool
	}{{"throttle", a.Throttle}, {"fail", a.Fail != ""}, {"error", a.Error != nil}, {"lose", a.Lose}, {"hang", a.Hang != ""}} {
		if answer.set {
			answers = append(answers, answer.key)
		}
	}
	switch {
	case len(answers) > 1:
		fail(answers[1], "a rule does one of "+strings.Join(answers, " and ")+": write two rules")
	case len(answers) == 0 && a.Latency == nil && a.Delay == nil:
		fail("", "the rule does nothing: add latency, delay, throttle, fail, error, lose or hang")
	}
	if a.Fail != "" && a.Fail != internal && a.Fail != unavailable {
		fail("fail", "fail is internal or unavailable; write error: for any other")
	}
	if a.Hang != "" && a.Hang != before && a.Hang != after {
		fail("hang", "hang is before or after: the work is not done, or it is")
	}
	if (a.Latency != nil || a.Delay != nil) && (a.Lose || a.Hang == after) {
		fail("", "what happens after the work has no latency: write two rules")
	}
}

// Check is for rules.Decode.
func (f *Failure) Check(fail func(key, text string)) {
	if f.Code == "" {
		fail("code", "an error has a code")
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		fail("status", "status lies from 400 to 599")
	}
}

func (m *Match) odds() rules.Odds {
	return rules.Odds{Nth: m.Nth, Every: m.Every, After: m.After, Probability: m.Probability, Times: m.Times}
}

const (
	internal    = "internal"
	unavailable = "unavailable"
	before      = "before"
	after       = "after"
)

// late reports whether a rule works after the call.
func (a *Action) late() bool { return a.Lose || a.Hang == after }
