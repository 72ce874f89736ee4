// Package test is the second stage: it boots an image as a throwaway machine and judges it.
//
// The judgement is a [Verdict], a record in the catalog. Only an image with a verdict that it passed goes on to the third
// stage.
package test

import (
	"slices"
	"time"

	"github.com/iibake/iibake/bake"
)

// Status is the outcome of one check.
type Status string

// The outcomes of a check.
const (
	Pass Status = "pass"
	Fail Status = "fail"
	Skip Status = "skip" // it was not made; the detail says why
)

// Result is what became of one check.
type Result struct {
	Boot   string        `json:"boot"`             // which boot was judged: for example "bios" or "bios, rebooted"
	Name   string        `json:"name"`             // what was checked: for example "systemd" or "goss: Port: tcp:80: listening"
	Status Status        `json:"status"`           // outcome
	Detail string        `json:"detail,omitempty"` // why it failed or was skipped, or what was seen; several lines, maybe
	Took   bake.Duration `json:"took"`
}

// Boot is one time that the image came up.
type Boot struct {
	Name        string        `json:"name"`        // as in Result.Boot
	Accelerator string        `json:"accelerator"` // kvm, or tcg: an emulated machine, many times slower
	SSH         bake.Duration `json:"ssh"`         // from power on or reset until SSH answered
	Checks      bake.Duration `json:"checks"`      // from then on until the last check was done
}

// Verdict is the outcome of judging one image. Its record never changes; judging the image again gives another one.
type Verdict struct {
	Image   bake.Ref      `json:"image"`
	Disk    bake.Digest   `json:"disk"`  // manifest of the disk that was judged
	Tests   bake.Digest   `json:"tests"` // how it was judged: the Key of its template
	Boots   []Boot        `json:"boots"`
	Results []Result      `json:"results"`
	Console []string      `json:"console,omitempty"` // of a boot that failed: the last lines of its serial console
	At      time.Time     `json:"at"`
	Took    bake.Duration `json:"took"`
}

// Passed reports whether at least one check passed and none failed.
func (v Verdict) Passed() bool {
	passed := func(r Result) bool { return r.Status == Pass }
	return slices.ContainsFunc(v.Results, passed) && len(v.Failures()) == 0
}

// Failures returns the results of the checks that failed, or whose status is none that this release knows.
func (v Verdict) Failures() []Result {
	var failed []Result
	for _, r := range v.Results {
		if r.Status != Pass && r.Status != Skip {
			failed = append(failed, r)
		}
	}
	return failed
}
