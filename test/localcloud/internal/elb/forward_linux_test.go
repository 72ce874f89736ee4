package elb_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/elb"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// guest makes an instance answer with its name, and returns the port.
func (w *world) guest(id string) *int32 {
	w.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, id) }))
	w.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	w.must(err)
	n, err := strconv.Atoi(port)
	w.must(err)
	w.update(func(r *state.Region) { r.Instances.Edit(id).PublicIpAddress = aws.String("127.0.0.1") })
	return aws.Int32(int32(n))
}

// forwarding starts a forwarder.
func (w *world) forwarding() {
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan struct{})
	f := elb.NewForwarder(w.elb, slog.New(slog.DiscardHandler))
	go func() { defer close(ended); f.Run(ctx) }()
	w.Cleanup(func() { cancel(); <-ended })
}

// ask asks a balancer, and returns who answered. Until it is there it tries again: it opens on the cloud's clock, but in this host's time.
func (w *world) ask(url string) string {
	w.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
		r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, url, nil)
		w.must(err)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			w.clock.Advance(time.Second)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		w.must(err)
		return strconv.Itoa(resp.StatusCode) + " " + string(body)
	}
	return "nobody answers"
}

// TestNoRequestFailsWhileTargetsAreReplaced replaces the only target behind a balancer, as a rollout does.
func TestNoRequestFailsWhileTargetsAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forwarding()
	g := w.group("web")
	b, _ := w.balancer("lb", g)
	out, err := w.client.DescribeLoadBalancers(t.Context(), &elbv2.DescribeLoadBalancersInput{LoadBalancerArns: []string{b}})
	w.must(err)
	listener, err := w.client.CreateListener(t.Context(), &elbv2.CreateListenerInput{
		LoadBalancerArn: &b, Port: aws.Int32(8123), Protocol: types.ProtocolEnumHttp, DefaultActions: forward(g),
	})
	w.must(err)
	url := "http://" + net.JoinHostPort(*out.LoadBalancers[0].DNSName, "8123") + "/"
	if got := w.ask(url); got != "503 503 Service Temporarily Unavailable\n" {
		t.Errorf("without a target it answers %q", got)
	}
	add := func(id string) types.TargetDescription {
		d := types.TargetDescription{Id: aws.String(id), Port: w.guest(id)}
		_, err := w.client.RegisterTargets(t.Context(), &elbv2.RegisterTargetsInput{TargetGroupArn: &g, Targets: []types.TargetDescription{d}})
		w.must(err)
		w.clock.Advance(minute)
		return d
	}
	last := add("i-0")
	for i := 1; i < 4; i++ {
		id := fmt.Sprint("i-", i)
		next := add(id)
		if got := w.ask(url); got != "200 "+id && got != fmt.Sprint("200 i-", i-1) {
			t.Errorf("answer %q", got)
		}
		_, err := w.client.DeregisterTargets(t.Context(), &elbv2.DeregisterTargetsInput{TargetGroupArn: &g, Targets: []types.TargetDescription{last}})
		w.must(err)
		for range 20 {
			if got := w.ask(url); got != "200 "+id {
				t.Errorf("a draining target got a request: %q", got)
			}
		}
		last = next
	}
	w.prober.bad["i-3"] = "Target.Timeout" // where all are ill, all get requests
	w.clock.Advance(minute)
	if got := w.ask(url); got != "200 i-3" {
		t.Errorf("answer %q", got)
	}
	_, err = w.client.DeleteListener(t.Context(), &elbv2.DeleteListenerInput{ListenerArn: listener.Listeners[0].ListenerArn})
	w.must(err)
}

func TestConnectionsAreForwarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forwarding()
	made, err := w.client.CreateTargetGroup(t.Context(), &elbv2.CreateTargetGroupInput{Name: aws.String("tcp"), Protocol: "TCP", Port: w.guest("i-1"), VpcId: aws.String(vpc)})
	w.must(err)
	g := *made.TargetGroups[0].TargetGroupArn
	b, err := w.client.CreateLoadBalancer(t.Context(), &elbv2.CreateLoadBalancerInput{Name: aws.String("nlb"), Subnets: both, Type: "network"})
	w.must(err)
	_, err = w.client.CreateListener(t.Context(), &elbv2.CreateListenerInput{
		LoadBalancerArn: b.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(8124), Protocol: types.ProtocolEnumTcp, DefaultActions: forward(g),
	})
	w.must(err)
	w.register(g, "i-1")
	if got := w.ask("http://" + net.JoinHostPort(*b.LoadBalancers[0].DNSName, "8124") + "/"); got != "200 i-1" {
		t.Errorf("answer %q", got)
	}
}
