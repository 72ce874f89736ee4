package localcloud_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud"
)

// soakVariable is the environment variable with the number of calls of TestSoak. The long run has 100,000 of them:
//
//	IIBAKE_SOAK=100000 go test ./test/localcloud -race -run 'TestSoak$' -timeout 60m
const soakVariable = "IIBAKE_SOAK"

const (
	soakClients = 32
	soakCalls   = 3000   // in the ordinary run
	soakAll     = 50_000 // calls, of which every operation must have worked once
	soakLook    = 500    // calls from one look at the records to the next
)

const soakFaults = `
version: 1
seed: 11
rules:
- match: { probability: 0.01 }
  do: { throttle: true }
- match: { probability: 0.01 }
  do: { fail: internal }
- match: { probability: 0.01 }
  do: { lose: true }
- match: { probability: 0.02 }
  do: { latency: 10us..3ms }
windows: { ebs:readable: 1s..20s, ssm:image-valid: 1s..60s }
`

const soakScenario = `
version: 1
seed: 11
default: { boot: 2s..20s, healthy: 5s..60s, status: 30s..3m, terminate: 5s..42s }
rules:
- match: { every: 25 }
  do: { fail: Server.InternalError }
- match: { every: 30 }
  do: { dies-after: 1m..30m }
- match: { zone: "*c", probability: 0.2 }
  do: { fail: Server.InsufficientInstanceCapacity }
- match: { every: 40 }
  do: { sick-after: 1m..20m }
`

// soak is what its clients share.
type soak struct {
	cloud *localcloud.Cloud
	homes []*home
	limit int64
	calls atomic.Int64

	mu     sync.Mutex
	codes  map[string]int // of errors
	worked map[string]int // how often, by operation
	wrong  []string
}

// Clients that know nothing of each other call everything there is, while calls fail and instances die, and the records never contradict
// themselves.
func TestSoak(t *testing.T) {
	s := newSoak(t)
	var clients sync.WaitGroup
	for i := range soakClients {
		clients.Go(func() { s.client(t.Context(), uint64(i)) })
	}
	clients.Wait()
	s.compare(t)
	ok(t, s.cloud.SetFaults(localcloud.Document{}))
	wellKept(t, s.cloud)
	ok(t, s.cloud.Advance(6*time.Hour))
	wellKept(t, s.cloud)
	for _, h := range s.homes {
		h.readBack(t)
	}
	for operation, n := range s.worked {
		if n == 0 && s.limit >= soakAll {
			t.Errorf("%s never worked", operation)
		}
	}
	for _, line := range s.wrong {
		t.Error(line)
	}
	t.Logf("%d calls, errors: %v", s.calls.Load(), s.codes)
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{limit: soakLimit(t), codes: map[string]int{}, worked: map[string]int{}}
	s.cloud = simulated(t, localcloud.Config{Seed: 11, Scenario: document("scenario.yaml", soakScenario)})
	for _, account := range []string{"111122223333", "444455556666"} {
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			s.homes = append(s.homes, newHome(t, s.cloud, account, region))
		}
	}
	ok(t, s.cloud.SetFaults(document("faults.yaml", soakFaults)))
	return s
}

func document(name, text string) localcloud.Document {
	return localcloud.Document{Name: name, Text: []byte(text)}
}

func soakLimit(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv(soakVariable)
	if text == "" {
		return soakCalls
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: %v", soakVariable, text, err)
	}
	return n
}

// client makes calls until there were enough.
func (s *soak) client(ctx context.Context, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	acts := acts()
	var lots []int
	for i, a := range acts {
		lots = append(lots, slices.Repeat([]int{i}, a.weight)...)
	}
	for s.calls.Load() < s.limit {
		c := &caller{soak: s, home: s.homes[random.IntN(len(s.homes))], random: random}
		acts[lots[random.IntN(len(lots))]].do(ctx, c)
	}
}

// answered counts a call, takes note of its error, and looks at the records now and then.
func (s *soak) answered(operation string, err error) {
	n := s.calls.Add(1)
	s.note(operation, err)
	if n%soakLook == 0 {
		found := s.cloud.Contradictions()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, line := range found {
			s.complain("after %d calls: %s", n, line)
		}
	}
}

// complain notes what is wrong. The lock is held.
func (s *soak) complain(format string, args ...any) {
	if len(s.wrong) < 40 {
		s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
	}
}

// note looks at an error: a service may say no, but must know the operation and understand what a client of the SDK writes.
func (s *soak) note(operation string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.worked[operation]++
		return
	}
	s.worked[operation] += 0
	code := "lost"
	if api := smithy.APIError(nil); errors.As(err, &api) {
		code = api.ErrorCode()
	} else if !strings.Contains(err.Error(), "EOF") {
		s.complain("%s: %v", operation, err)
	}
	s.codes[code]++
	switch code {
	case "InvalidAction", "UnknownOperationException", "SerializationException":
		s.complain("%s: %v", operation, err)
	}
}

// compare holds what the clients have seen against what was made to fail: nothing else fails inside the cloud, and no answer is lost.
func (s *soak) compare(t *testing.T) {
	t.Helper()
	injected := map[string]int{}
	for _, c := range s.cloud.FaultCounts() {
		injected[c.Fault] += c.Times
	}
	internal := 0
	for _, code := range []string{"InternalError", "InternalFailure", "InternalServerException", "InternalServerError", "InternalServiceError", "InternalServiceFault"} {
		internal += s.codes[code]
	}
	if internal != injected["fail"] {
		t.Errorf("%d calls failed in the cloud, %d were to: %v", internal, injected["fail"], s.codes)
	}
	if s.codes["lost"] != injected["lose"] {
		t.Errorf("%d answers were lost, %d were to be", s.codes["lost"], injected["lose"])
	}
	for _, fault := range []string{"throttle", "fail", "lose", "latency"} {
		if injected[fault] == 0 {
			t.Errorf("of %v there was no %s", slices.Sorted(maps.Keys(injected)), fault)
		}
	}
}
