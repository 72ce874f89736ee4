package simulation

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/rules"
)

// Scenario says how instances behave. In a file:
//
//	version: 1
//	seed: 42
//	default: { boot: 3s..6s }
//	rules:
//	- match: { group: web-*, tags: { "aws:ec2launchtemplate:version": "2" }, every: 7 }
//	  do: { fail: Server.InsufficientInstanceCapacity }
//	- match: { zone: eu-west-1b }
//	  do: { healthy: never, console: "panic: no root device" }
//
// A rule that matches sets what it names, and leaves the rest to the rules above it, which are so many layers: the last one that names a
// behaviour decides. The tags of an instance (see Tags) lie above them all.
type Scenario struct {
	Version int       `yaml:"version"`
	Seed    uint64    `yaml:"seed"`
	Default Behaviour `yaml:"default"`
	Rules   []Rule    `yaml:"rules"`
}

// Rule is a behaviour of some instances.
type Rule struct {
	Match Match     `yaml:"match"`
	Do    Behaviour `yaml:"do"`
}

// Match says which instances a rule is for, of those that start: all that are empty or match the pattern (* and ?), as often as the odds
// say. Nth, every, after and times count the starts that match in each account and region apart.
type Match struct {
	Image       string            `yaml:"image"` // image id
	Name        string            `yaml:"name"`  // tag Name of the instance
	Group       string            `yaml:"group"` // Auto Scaling group
	Zone        string            `yaml:"zone"`
	Account     string            `yaml:"account"`
	Region      string            `yaml:"region"`
	Type        string            `yaml:"type"`
	Tags        map[string]string `yaml:"tags"` // all of them, the values patterns
	Nth         int               `yaml:"nth"`
	Every       int               `yaml:"every"`
	After       int               `yaml:"after"`
	Probability float64           `yaml:"probability"`
	Times       int               `yaml:"times"`
}

// Behaviour is what an instance does. What is nil or empty is left to the default.
type Behaviour struct {
	Boot      *clock.Span `yaml:"boot"`       // from the start until the instance is running
	Healthy   *clock.Span `yaml:"healthy"`    // from then until the guest answers probes
	Status    *clock.Span `yaml:"status"`     // until the status checks pass; "never": they fail, at their usual time
	SickAfter *clock.Span `yaml:"sick-after"` // until probes and status checks fail, for good
	DiesAfter *clock.Span `yaml:"dies-after"` // until the guest powers itself off
	Stop      *clock.Span `yaml:"stop"`       // from the request until it is stopped
	Terminate *clock.Span `yaml:"terminate"`  // until it is terminated
	Fail      string      `yaml:"fail"`       // does not start: code of the state reason, such as Server.InsufficientInstanceCapacity
	Console   string      `yaml:"console"`    // shown at the end of the console, as soon as there is one
}

// Check is for rules.Decode.
func (s *Scenario) Check(fail func(key, text string)) {
	if s.Version != 1 {
		fail("version", "this release reads version: 1")
	}
}

// Check is for rules.Decode.
func (m *Match) Check(fail func(key, text string)) { m.odds().Check(fail) }

// Check is for rules.Decode.
func (b *Behaviour) Check(fail func(key, text string)) {
	if b.Fail != "" && !isReason(b.Fail) {
		fail("fail", fmt.Sprintf("%q is no code of a state reason: write one such as Server.InsufficientInstanceCapacity", b.Fail))
	}
	if b.Terminate != nil && b.Terminate.String() == "never" {
		fail("terminate", "an instance comes to its end: write how long it takes")
	}
}

func isReason(code string) bool {
	side, reason, _ := strings.Cut(code, ".")
	return (side == "Server" || side == "Client") && reason != ""
}

func (m *Match) odds() rules.Odds {
	return rules.Odds{Nth: m.Nth, Every: m.Every, After: m.After, Probability: m.Probability, Times: m.Times}
}

// Parse reads a scenario. The error names every mistake with file:line:column.
func Parse(file string, data []byte) (*Scenario, error) {
	s := &Scenario{}
	if err := rules.Decode(file, data, s); err != nil {
		return nil, err
	}
	return s, nil
}

// matches compares an instance with all but the odds.
func (m *Match) matches(s *compute.Spec) bool {
	for tag, pattern := range m.Tags {
		if value, ok := s.Tags[tag]; !ok || !rules.Match(pattern, value) {
			return false
		}
	}
	return rules.Match(m.Image, s.Metadata.ImageID) && rules.Match(m.Name, s.Tags["Name"]) && rules.Match(m.Group, s.Tags[groupTag]) &&
		rules.Match(m.Zone, s.Zone) && rules.Match(m.Account, s.Account) && rules.Match(m.Region, s.Region) && rules.Match(m.Type, s.Type)
}

// over returns b with what is not set taken from below.
func (b *Behaviour) over(below Behaviour) Behaviour {
	all := *b
	for _, span := range []struct{ mine, its **clock.Span }{
		{&all.Boot, &below.Boot},
		{&all.Healthy, &below.Healthy},
		{&all.Status, &below.Status},
		{&all.SickAfter, &below.SickAfter},
		{&all.DiesAfter, &below.DiesAfter},
		{&all.Stop, &below.Stop},
		{&all.Terminate, &below.Terminate},
	} {
		if *span.mine == nil {
			*span.mine = *span.its
		}
	}
	for _, text := range []struct{ mine, its *string }{{&all.Fail, &below.Fail}, {&all.Console, &below.Console}} {
		if *text.mine == "" {
			*text.mine = *text.its
		}
	}
	return all
}

const (
	groupTag = "aws:autoscaling:groupName"
	prefix   = "iibake:sim:"
)

// Tags reads the behaviour that an instance's own tags ask for: the keys of a file with iibake:sim: before them,
//
//	iibake:sim:boot=20s..40s  iibake:sim:healthy=never  iibake:sim:dies-after=5m  iibake:sim:fail=Server.InternalError
//
// and iibake:sim:every=K, which makes them hold for one in K instances of their group, or of their image, where they are in no group; it is 1
// where it is not given. Tags of this form that mean nothing are an error, which names each of them.
func Tags(tags map[string]string) (b Behaviour, every int, err error) {
	every = 1
	var errs []error
	for key, value := range tags {
		name, ours := strings.CutPrefix(key, prefix)
		if !ours {
			continue
		}
		if err := b.set(name, value, &every); err != nil {
			errs = append(errs, fmt.Errorf("tag %s=%s: %w", key, value, err))
		}
	}
	b.Check(func(key, text string) { errs = append(errs, fmt.Errorf("tag %s%s: %s", prefix, key, text)) })
	return b, every, errors.Join(errs...)
}

func (b *Behaviour) set(name, value string, every *int) error {
	spans := map[string]**clock.Span{
		"boot": &b.Boot, "healthy": &b.Healthy, "status": &b.Status, "sick-after": &b.SickAfter, "dies-after": &b.DiesAfter,
		"stop": &b.Stop, "terminate": &b.Terminate,
	}
	switch {
	case spans[name] != nil:
		span, err := clock.ParseSpan(value)
		*spans[name] = &span
		return err
	case name == "fail":
		b.Fail = value
	case name == "console":
		b.Console = value
	case name == "every":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return errors.New("write a whole number from 1 on")
		}
		*every = n
	default:
		return errors.New("there is no such behaviour: write boot, healthy, status, sick-after, dies-after, stop, terminate, fail, console or every")
	}
	return nil
}
