package target

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go/middleware"
)

// limits is how fast each account may be asked, by region, service and operation.
type limits struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu      sync.Mutex
	buckets map[string]*bucket
}

func newLimits(o Options) *limits {
	return &limits{now: o.Now, sleep: o.Sleep, buckets: map[string]*bucket{}}
}

// of returns the bucket of the call that ctx is of.
func (l *limits) of(ctx context.Context, t *Target) *bucket {
	service, operation := middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)
	name, full := rateOf(service, operation)
	key := strings.Join([]string{t.Endpoint, t.Account, t.Region, service, name}, "/")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets[key] == nil {
		l.buckets[key] = &bucket{limits: l, full: full, rate: full.perSecond, tokens: full.burst, at: l.now()}
	}
	return l.buckets[key]
}

// rate is how many calls may be made at once, and how many in a second for long.
type rate struct{ burst, perSecond float64 }

// share is what we take of an account's limits: others use it, too.
const share = 0.9

// rateOf returns the bucket that an operation takes from. The sizes are those that AWS documents for an account and region ("Request throttling
// for the Amazon EC2 API", and the quotas of the other services), Auto Scaling's apart, which are not published.
func rateOf(service, operation string) (bucket string, full rate) {
	bucket = operation
	switch service {
	case "EC2":
		full = ec2Rate(operation)
	case "EBS":
		full = ebsRate(operation)
	case "Auto Scaling":
		bucket, full = "all", rate{100, 20}
	case "CloudWatch":
		full = rate{9, 9}
	case "SSM":
		if full = (rate{10, 10}); strings.HasPrefix(operation, "GetParameter") {
			bucket, full = "get", rate{40, 40}
		}
	default:
		bucket, full = "all", rate{600, 600}
	}
	return bucket, rate{full.burst * share, full.perSecond * share}
}

func ec2Rate(operation string) rate {
	switch operation {
	case "RunInstances", "StartInstances":
		return rate{5, 2}
	case "CopyImage":
		return rate{100, 1}
	case "CreateTags", "DeleteTags":
		return rate{100, 10}
	}
	generous := []string{
		"CreateLaunchTemplateVersion", "CreateSnapshot", "DeleteSnapshot", "DeregisterImage", "ModifyImageAttribute", "ModifyLaunchTemplate",
		"ModifySnapshotAttribute", "TerminateInstances",
	}
	switch {
	case slices.Contains(generous, operation):
		return rate{100, 5}
	case strings.HasPrefix(operation, "Describe"), strings.HasPrefix(operation, "Get"):
		return rate{100, 20} // all of ours filter or page; without, some have half of it
	}
	return rate{50, 5}
}

func ebsRate(operation string) rate {
	switch operation {
	case "PutSnapshotBlock", "GetSnapshotBlock":
		return rate{1000, 1000}
	case "ListSnapshotBlocks", "ListChangedBlocks":
		return rate{50, 50}
	}
	return rate{10, 10}
}

// bucket holds tokens; each attempt takes one. It is slower for a while after the account said that it was asked too often.
type bucket struct {
	limits *limits
	full   rate

	mu     sync.Mutex
	rate   float64 // tokens a second, now
	tokens float64 // below zero: those who wait have taken them in advance
	at     time.Time
}

// take waits for a token.
func (b *bucket) take(ctx context.Context) error {
	b.mu.Lock()
	b.fill()
	b.tokens--
	wait := time.Duration(max(0, -b.tokens/b.rate) * float64(time.Second))
	b.mu.Unlock()
	if wait == 0 {
		return nil
	}
	return b.limits.sleep(ctx, wait)
}

func (b *bucket) fill() {
	now := b.limits.now()
	b.tokens = min(b.full.burst, b.tokens+b.rate*max(0, now.Sub(b.at).Seconds()))
	b.at = now
}

// The rate falls by a third with each answer that says so, to a tenth at most, and grows by a fiftieth with each other answer.
const (
	slower, slowest = 0.67, 0.1
	faster          = 0.02
)

// learn adapts the rate to what the account answered.
func (b *bucket) learn(throttled bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !throttled {
		b.rate = min(b.full.perSecond, b.rate+faster*b.full.perSecond)
		return
	}
	b.fill()
	b.tokens = min(b.tokens, 0)
	b.rate = max(slowest*b.full.perSecond, slower*b.rate)
}
