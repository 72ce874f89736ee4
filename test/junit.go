package test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
)

// The elements and attributes below are those of the schema that Jenkins, GitLab and most others read (junit-10.xsd).
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
		Out       string      `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		Classname string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Skipped   *junitMessage `xml:"skipped"`
		Failure   *junitMessage `xml:"failure"`
		Out       string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit returns verdicts in the XML that CI systems read: one suite for each boot of an image, one case for each check.
func JUnit(verdicts ...Verdict) ([]byte, error) {
	var doc junitSuites
	var names []string
	var took bake.Duration
	for _, v := range verdicts {
		names, took = append(names, v.Image.String()), took+v.Took
		doc.Suites = append(doc.Suites, v.suites()...)
	}
	doc.Name, doc.Time = strings.Join(names, " "), seconds(took)
	for _, s := range doc.Suites {
		doc.Tests, doc.Failures = doc.Tests+s.Tests, doc.Failures+s.Failures
	}
	b, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("verdicts on %s as JUnit XML: %w", doc.Name, err)
	}
	return append([]byte(xml.Header), append(b, '\n')...), nil
}

func (v Verdict) suites() []junitSuite {
	var all []junitSuite
	for _, r := range v.Results {
		if n := len(all); n == 0 || all[n-1].Name != r.Boot {
			all = append(all, junitSuite{Name: r.Boot, Time: seconds(v.boot(r.Boot)), Timestamp: v.At.UTC().Format("2006-01-02T15:04:05")})
		}
		all[len(all)-1].add(v.Image, r)
	}
	if n := len(all); n > 0 {
		all[n-1].Out = printable(strings.Join(v.Console, "\n"))
	}
	return all
}

// boot returns how long a boot and its checks took, checks that ran at the same time counted each.
func (v Verdict) boot(name string) bake.Duration {
	var sum bake.Duration
	for _, r := range v.Results {
		if r.Boot == name {
			sum += r.Took
		}
	}
	return sum
}

func (s *junitSuite) add(image bake.Ref, r Result) {
	c := junitCase{Name: r.Name, Classname: image.Name + "." + r.Boot, Time: seconds(r.Took)}
	message, _, _ := strings.Cut(r.Detail, "\n")
	s.Tests++
	switch r.Status {
	case Pass:
		c.Out = printable(r.Detail)
	case Skip:
		s.Skipped++
		c.Skipped = &junitMessage{Message: printable(message)}
	case Fail:
		s.Failures++
		c.Failure = &junitMessage{Message: printable(message), Text: printable(r.Detail)}
	}
	s.Cases = append(s.Cases, c)
}

func seconds(d bake.Duration) string { return fmt.Sprintf("%.3f", time.Duration(d).Seconds()) }

// printable drops what XML cannot hold, and what only a terminal understands.
func printable(s string) string { return machine.Plain(s) }
