package survey_test

import (
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/survey"
	"github.com/iibake/iibake/test/localcloud"
)

// estate is accounts with fleets in each of some regions.
type estate struct{ accounts, regions, groups, size int }

func (e estate) build(w *world) {
	w.t.Helper()
	regions := []string{"eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1"}
	for account := range e.accounts {
		for _, region := range regions[:e.regions] {
			p := w.add(fmt.Sprintf("%04d44445555", 1000+account), region)
			for i := range e.groups {
				w.group(p, "web-"+strconv.Itoa(i), e.size)
			}
		}
	}
	w.advance(10 * time.Minute)
}

// most returns the most calls that any account got.
func (w *world) most() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	byAccount, most := map[string]int{}, 0
	for target, n := range w.calls {
		account := target[:4]
		byAccount[account] += n
		most = max(most, byAccount[account])
	}
	clear(w.calls)
	return most
}

// No account gets more than 40 calls, whatever its fleets do.
func TestCallsAreFew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := estate{accounts: 2, regions: 5, groups: 10, size: 2}
	e.build(w)
	check := func(when string) promote.Status {
		t.Helper()
		s := w.look()
		if n := w.most(); n > 40 || n < 20 {
			t.Errorf("%s: an account got %d calls", when, n)
		}
		if !s.Complete() || len(s.Channels[0].Fleets) != 100 {
			t.Errorf("%s: gaps %v, %d fleets", when, gaps(s), len(s.Channels[0].Fleets))
		}
		return s
	}
	ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: []byte("version: 1\nthrottling: aws\n")}))
	drifts(t, check("all is well"))
	ok(t, w.cloud.SetFaults(localcloud.Document{}))
	w.begin()
	seen, asked := 0, 0
	for _, f := range check("all fleets move").Channels[0].Fleets {
		if f.Refresh != nil {
			seen++
			if !f.Refresh.Estimated {
				asked++
			}
		}
	}
	if seen != 100 || asked < 10 {
		t.Errorf("of 100 refreshes it shows %d, of which it asked about %d", seen, asked)
	}
}

// slow lets each call take some time on the host's clock.
type slow struct {
	http.RoundTripper

	by time.Duration
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	timer := time.NewTimer(s.by)
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// BenchmarkStatus looks at 1,000 fleets of 20 instances in 20 accounts and 5 regions, with 100 ms for each call.
func BenchmarkStatus(b *testing.B) {
	w := newWorld(b)
	e := estate{accounts: 20, regions: 5, groups: 10, size: 20}
	if testing.Short() {
		e = estate{accounts: 3, regions: 5, groups: 10, size: 2}
	}
	e.build(w)
	w.through = slow{w.through, 100 * time.Millisecond}
	fleets := e.accounts * e.regions * e.groups
	for _, state := range []string{"still", "moving"} {
		if state == "moving" {
			w.begin()
		}
		b.Run(state, func(b *testing.B) {
			used := cpuTime(b)
			for b.Loop() {
				s := w.lookBy(survey.Surveyor{Open: target.NewSet(w.specs, w.options()).Get, Patience: time.Hour})
				if !s.Complete() || len(s.Channels[0].Fleets) != fleets {
					b.Fatalf("gaps %v, %d fleets", gaps(s), len(s.Channels[0].Fleets))
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/status")
			b.ReportMetric((cpuTime(b)-used).Seconds()/float64(b.N), "cpu-s/status")
			b.ReportMetric(float64(w.most())/float64(b.N), "calls/account")
		})
	}
}

// cpuTime returns what this process, the cloud with it, has had of all processors, which does not depend on what else runs there.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	ok(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
