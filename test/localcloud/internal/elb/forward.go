package elb

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const (
	// pace is how often a Forwarder looks for new and deleted listeners. Targets are looked up for every request or connection.
	pace = 500 * time.Millisecond
	// dialLimit is how long a target may take to accept a connection.
	dialLimit = 5 * time.Second
)

// Forwarder forwards what comes to the listeners of balancers to their targets, by default actions only: requests of HTTP one by one, TCP by
// connection. Each balancer has a loopback address of its own, which is also its DNS name. Listeners of HTTPS and TLS are not served. It is for
// clouds whose instances have addresses that answer.
type Forwarder struct {
	service *Service
	log     *slog.Logger

	mu     sync.Mutex
	fronts map[front]io.Closer
	failed map[front]bool // could not be opened; it is said once
}

// front is a listener.
type front struct {
	region, listener, address string
	http                      bool
}

// NewForwarder returns a forwarder for the balancers of s. From now on new balancers have an address for a DNS name.
func NewForwarder(s *Service, log *slog.Logger) *Forwarder {
	s.forwarded.Store(true)
	return &Forwarder{service: s, log: log, fronts: map[front]io.Closer{}, failed: map[front]bool{}}
}

// Run forwards until ctx is done, and then closes everything.
func (f *Forwarder) Run(ctx context.Context) {
	for {
		f.sync(ctx)
		next := make(chan struct{})
		timer := f.service.store.Clock().AfterFunc(pace, func() { close(next) })
		select {
		case <-next:
		case <-ctx.Done():
			timer.Stop()
			f.close()
			return
		}
	}
}

// loopback returns the address of a balancer: one of 127.192.0.0/10, by its ARN.
func loopback(arn string) string {
	h := fnv.New32a()
	_, _ = io.WriteString(h, arn)
	sum := h.Sum(nil)
	return net.IPv4(127, 192|sum[1]&63, sum[2], 1|sum[3]).String()
}

// sync opens and closes listeners as the records say.
func (f *Forwarder) sync(ctx context.Context) {
	wanted := map[front]bool{}
	for _, region := range f.service.store.Regions() {
		_ = f.service.store.View(region, func(r *state.Region) error {
			for arn, b := range r.LoadBalancers.All() {
				for _, l := range b.Listeners {
					plain := l.Protocol == types.ProtocolEnumHttp
					if plain || l.Protocol == types.ProtocolEnumTcp {
						address := net.JoinHostPort(loopback(arn), strconv.Itoa(int(*l.Port)))
						wanted[front{region, *l.ListenerArn, address, plain}] = true
					}
				}
			}
			return nil
		})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, c := range f.fronts {
		if !wanted[at] {
			_ = c.Close()
			delete(f.fronts, at)
		}
	}
	for at := range wanted {
		if f.fronts[at] == nil {
			f.open(ctx, at)
		}
	}
}

func (f *Forwarder) open(ctx context.Context, at front) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", at.address)
	if err != nil {
		if !f.failed[at] {
			f.log.Warn("a load balancer's listener cannot be opened; it is tried again", "listener", at.listener, "error", err)
		}
		f.failed[at] = true
		return
	}
	delete(f.failed, at)
	if at.http {
		s := &http.Server{Handler: f.proxy(at), ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
		f.fronts[at] = s
		go func() { _ = s.Serve(l) }()
		return
	}
	f.fronts[at] = l
	go f.accept(ctx, at, l)
}

func (f *Forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, c := range f.fronts {
		_ = c.Close()
		delete(f.fronts, at)
	}
}

var errNoTarget = errors.New("no target is registered and in use")

// pick returns the address of a target for the next request or connection: one of those that are healthy or, as documented, where none is, of those that
// are not. Those that drain get nothing new.
func (f *Forwarder) pick(at front) (string, error) {
	var well, ill []string
	_ = f.service.store.View(at.region, func(r *state.Region) error {
		for arn := range targetGroups(r, at.listener) {
			if g := r.TargetGroups.Get(arn); g != nil {
				for _, t := range g.Targets {
					well, ill = sorted(r, t, well, ill)
				}
			}
		}
		return nil
	})
	if len(well) == 0 {
		well = ill
	}
	if len(well) == 0 {
		return "", errNoTarget
	}
	return well[rand.IntN(len(well))], nil //nolint:gosec // any of them will do
}

// sorted adds the address of a target to those of the healthy or the ill ones.
func sorted(r *state.Region, t state.Target, well, ill []string) (healthy, others []string) {
	in := r.Instances.Get(*t.Target.Id)
	if in == nil {
		return well, ill
	}
	address := net.JoinHostPort(aws.ToString(first(in.PublicIpAddress, in.PrivateIpAddress)), strconv.Itoa(int(*t.Target.Port)))
	switch t.Health.State {
	case types.TargetHealthStateEnumHealthy:
		well = append(well, address)
	case types.TargetHealthStateEnumInitial, types.TargetHealthStateEnumUnhealthy:
		ill = append(ill, address)
	case types.TargetHealthStateEnumDraining, types.TargetHealthStateEnumUnused, types.TargetHealthStateEnumUnavailable, types.TargetHealthStateEnumUnhealthyDraining:
	}
	return well, ill
}

func first(a, b *string) *string {
	if a != nil {
		return a
	}
	return b
}

// targetGroups returns the groups of a listener's default action that get traffic.
func targetGroups(r *state.Region, arn string) map[string]bool {
	groups := map[string]bool{}
	for _, b := range r.LoadBalancers.All() {
		for _, l := range b.Listeners {
			if *l.ListenerArn != arn {
				continue
			}
			for _, a := range l.DefaultActions {
				for _, t := range forwards(a) {
					groups[*t.TargetGroupArn] = true
				}
			}
		}
	}
	return groups
}

// forwards returns the groups of an action with a weight.
func forwards(a types.Action) []types.TargetGroupTuple {
	var tuples []types.TargetGroupTuple
	if a.ForwardConfig != nil {
		for _, t := range a.ForwardConfig.TargetGroups {
			if *t.Weight > 0 {
				tuples = append(tuples, t)
			}
		}
	}
	return tuples
}

// proxy answers the requests of a listener.
func (f *Forwarder) proxy(at front) http.Handler {
	dial := &net.Dialer{Timeout: dialLimit}
	transport := &http.Transport{DialContext: dial.DialContext, DisableCompression: true, IdleConnTimeout: time.Minute}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := f.pick(at)
		if err != nil {
			http.Error(w, "503 Service Temporarily Unavailable", http.StatusServiceUnavailable)
			return
		}
		p := &httputil.ReverseProxy{
			Transport: transport, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
			Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Scheme, p.Out.URL.Host = "http", to
				p.Out.Host = p.In.Host
				p.SetXForwarded()
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
			},
		}
		p.ServeHTTP(w, r)
	})
}

// accept forwards the connections of a listener until it is closed.
func (f *Forwarder) accept(ctx context.Context, at front, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go f.connect(ctx, at, c)
	}
}

// connect forwards one connection until both ends have said all, or ctx is done.
func (f *Forwarder) connect(ctx context.Context, at front, from net.Conn) {
	defer func() { _ = from.Close() }()
	address, err := f.pick(at)
	if err != nil {
		return
	}
	to, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	defer context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{to, from}, {from, to}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			if end, ok := way[0].(*net.TCPConn); ok {
				_ = end.CloseWrite()
			}
		})
	}
	both.Wait()
}
