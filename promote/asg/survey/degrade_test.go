package survey_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/survey"
	"github.com/iibake/iibake/test/localcloud"
)

// gaps returns what could not be looked at, as TARGET PART.
func gaps(s promote.Status) (all []string) {
	for _, t := range s.Targets {
		for _, g := range t.Gaps {
			all = append(all, t.Target+" "+string(g.Part))
		}
	}
	return all
}

// Whatever one account refuses, the other is shown in full.
func TestAnAccountDenies(t *testing.T) {
	t.Parallel()
	for operation, c := range map[string]struct {
		part   promote.Part
		action string
		blind  bool // nothing is known of its fleet
	}{
		"AssumeRole":                {promote.PartAccount, "sts:AssumeRole", true},
		"GetCallerIdentity":         {promote.PartAccount, "sts:GetCallerIdentity", true},
		"DescribeAutoScalingGroups": {promote.PartGroups, "autoscaling:DescribeAutoScalingGroups", true},
		"DescribeInstanceRefreshes": {promote.PartRefreshes, "autoscaling:DescribeInstanceRefreshes", false},
		"DescribeInstances":         {promote.PartInstances, "ec2:DescribeInstances", false},
		"DescribeLaunchTemplates":   {promote.PartTemplates, "ec2:DescribeLaunchTemplates", false},
		"DescribeImages":            {promote.PartImages, "ec2:DescribeImages", false},
		"GetParameters":             {promote.PartParameters, "ssm:GetParameters", false},
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.group(w.add(home, "eu-west-1"), "web", 2)
			denied := w.group(w.add(other, "us-east-1"), "web", 2)
			w.advance(5 * time.Minute)
			account := other
			if operation == "AssumeRole" {
				account = "*" // it is home that assumes
			}
			ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: fmt.Appendf(nil, `
version: 1
rules:
- match: { operation: %s, account: "%s" }
  do: { error: { status: 403, code: AccessDenied, message: "User: iibake is not authorized to perform: %s" } }
`, operation, account, c.action)}))
			s := w.look()
			if operation == "AssumeRole" {
				if len(gaps(s)) != 2 {
					t.Errorf("gaps %v", gaps(s))
				}
				return
			}
			if got := gaps(s); len(got) != 1 || got[0] != denied.Target+" "+string(c.part) {
				t.Fatalf("gaps %v", got)
			}
			if g := s.Targets[1].Gaps[0]; !strings.Contains(g.Error, "permission denied") || !strings.Contains(g.Error, c.action) {
				t.Errorf("it does not say what is missing: %s", g.Error)
			}
			drifts(t, s)
			for i, f := range s.Channels[0].Fleets {
				if blind := i == 1 && c.blind; (f.Unknown != "") != blind || !blind && f.Healthy != 2 {
					t.Errorf("got %+v", f)
				}
			}
		})
	}
}

// faulty fails every request of an account as if nothing answered.
type faulty struct {
	http.RoundTripper
}

func (f faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.Header.Get("Authorization"), "/us-east-1/") {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return f.RoundTripper.RoundTrip(r)
}

func TestARegionIsOutOfReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(w.add(home, "eu-west-1"), "web", 2)
	w.group(w.add(other, "us-east-1"), "web", 2)
	w.advance(5 * time.Minute)
	o := w.options()
	o.Transport = faulty{RoundTripper: w.through}
	o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	s := w.lookBy(survey.Surveyor{Open: target.NewSet(w.specs, o).Get})
	if f := s.Channels[0].Fleets; f[0].Healthy != 2 || !strings.Contains(f[1].Unknown, "cannot reach the endpoint") {
		t.Errorf("got %+v", f)
	}
	if s.Complete() {
		t.Error("it says that it saw everything")
	}
}

// hanging never answers, until the test is over.
type hanging struct{ over chan struct{} }

func newHanging() hanging { return hanging{make(chan struct{})} }

// end ends the calls that nobody waits for any more, with all their tries: an hour in the bubble of a test is nothing.
func (h hanging) end() {
	close(h.over)
	time.Sleep(time.Hour)
}

func (h hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-h.over:
		return nil, net.ErrClosed
	}
}

// The time of what is waited for here goes on only when nobody has anything to do: however slow this host is, what answers has answered by then.
func TestWhatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := newHanging()
		defer never.end()
		w := newWorld(t)
		w.group(w.add(home, "eu-west-1"), "web", 1)
		o := w.options()
		o.Transport = never
		s := w.lookBy(survey.Surveyor{Open: target.NewSet(w.specs, o).Get})
		if f := s.Channels[0].Fleets[0]; !strings.Contains(f.Unknown, "no answer in time") {
			t.Errorf("got %+v", f)
		}
	})
}

// deaf never answers for Auto Scaling in a region.
type deaf struct {
	http.RoundTripper
	hanging

	region string
}

func (d deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.Header.Get("Authorization"), "/"+d.region+"/autoscaling/") {
		return d.hanging.RoundTrip(r)
	}
	return d.RoundTripper.RoundTrip(r)
}

func TestWhatAnswersIsSeenInFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := newHanging()
		defer never.end()
		w := newWorld(t)
		w.group(w.add(home, "eu-west-1"), "web", 1)
		w.group(w.add(home, "us-east-1"), "web-us", 1)
		o := w.options()
		o.Transport = deaf{w.cloud.Client().Transport, never, "us-east-1"}
		s := w.lookBy(survey.Surveyor{Open: target.NewSet(w.specs, o).Get})
		for _, seen := range s.Targets {
			if silent := seen.Region == "us-east-1" || strings.Contains(seen.Target, "us-east-1"); silent != (len(seen.Gaps) > 0) {
				t.Errorf("%s has the gaps %v", seen.Target, seen.Gaps)
			}
		}
	})
}

func TestALookThatIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(w.add(home, "eu-west-1"), "web", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := promote.Look(ctx, w.config(survey.Surveyor{Open: target.NewSet(w.specs, w.options()).Get})); err == nil {
		t.Error("it says how everything is")
	}
}
