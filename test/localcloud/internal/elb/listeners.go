package elb

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxListeners is the documented quota of listeners of a balancer.
const maxListeners = 50

func (s *Service) createListener(_ context.Context, c *wire.Call, in *elbv2.CreateListenerInput) (*elbv2.CreateListenerOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if in.MutualAuthentication != nil || len(in.AlpnPolicy) > 0 {
		return nil, unsupported("Mutual authentication and ALPN")
	}
	out := &elbv2.CreateListenerOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		b, err := balancer(r, c, in.LoadBalancerArn)
		if err != nil {
			return err
		}
		l := types.Listener{
			LoadBalancerArn: b.LoadBalancerArn, Port: in.Port, Protocol: in.Protocol,
			Certificates: slices.Clone(in.Certificates), SslPolicy: in.SslPolicy, DefaultActions: in.DefaultActions,
		}
		if len(b.Listeners) >= maxListeners {
			return wire.Errorf("TooManyListeners", "The maximum number of listeners has been reached on load balancer '%s'", *b.LoadBalancerArn)
		}
		if err := checkListener(r, b, &l); err != nil {
			return err
		}
		l.ListenerArn = aws.String(strings.Replace(*b.LoadBalancerArn, ":loadbalancer/", ":listener/", 1) + "/" + newID())
		s.relisten(r, b, append(slices.Clone(b.Listeners), state.Listener{Listener: l, Tags: slices.Clone(in.Tags)}))
		out.Listeners = []types.Listener{l}
		return nil
	})
}

// checkListener checks a listener of b, fills in what its protocol implies and normalises its actions.
func checkListener(r *state.Region, b *state.LoadBalancer, l *types.Listener) error {
	allowed := "HTTP, HTTPS"
	if b.Type == types.LoadBalancerTypeEnumNetwork {
		allowed = "TCP, TLS"
	}
	switch {
	case l.Port == nil:
		return invalid("A listener port must be specified")
	case *l.Port < 1 || *l.Port > 65535:
		return invalid("Listener port must be between 1 and 65535")
	case l.Protocol == "":
		return invalid("A listener protocol must be specified")
	case !slices.Contains(strings.Split(allowed, ", "), string(l.Protocol)):
		return invalid("Listener protocol '%s' must be one of '%s'", l.Protocol, allowed)
	}
	if secure := l.Protocol == types.ProtocolEnumHttps || l.Protocol == types.ProtocolEnumTls; secure {
		if len(l.Certificates) == 0 {
			return invalid("A certificate must be specified for %s listeners", l.Protocol)
		}
		if l.SslPolicy == nil {
			l.SslPolicy = aws.String("ELBSecurityPolicy-2016-08")
		}
	} else if len(l.Certificates) > 0 || l.SslPolicy != nil {
		return invalid("Certificates and an SSL policy cannot be specified for %s listeners", l.Protocol)
	}
	for _, other := range b.Listeners {
		if *other.Port == *l.Port && aws.ToString(other.ListenerArn) != aws.ToString(l.ListenerArn) {
			return wire.Errorf("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", *b.LoadBalancerArn)
		}
	}
	actions, err := checkActions(r, b, l.DefaultActions)
	l.DefaultActions = actions
	return err
}

// relisten replaces the listeners of a balancer, and puts target groups into and out of use accordingly.
func (s *Service) relisten(r *state.Region, b *state.LoadBalancer, listeners []state.Listener) {
	changed := r.LoadBalancers.Edit(*b.LoadBalancerArn)
	before := *changed
	changed.Listeners = listeners
	s.reassign(r, &before, listeners)
}

// reassign updates which target groups a balancer uses: those of before's listeners until now, those of listeners from now on.
func (s *Service) reassign(r *state.Region, before *state.LoadBalancer, listeners []state.Listener) {
	used := groupsOf(listeners)
	for arn := range groupsOf(before.Listeners) {
		if !used[arn] {
			s.use(r, arn, *before.LoadBalancerArn, false)
		}
	}
	for arn := range used {
		s.use(r, arn, *before.LoadBalancerArn, true)
	}
}

// use notes that a balancer uses a group, or does no longer, and looks at the group's targets anew.
func (s *Service) use(r *state.Region, arn, balancer string, used bool) {
	g := r.TargetGroups.Get(arn)
	if g == nil || slices.Contains(g.LoadBalancerArns, balancer) == used {
		return
	}
	g = r.TargetGroups.Edit(arn)
	arns := slices.DeleteFunc(slices.Clone(g.LoadBalancerArns), func(a string) bool { return a == balancer })
	if used {
		arns = append(arns, balancer)
	}
	g.LoadBalancerArns = arns
	for key, t := range g.Targets {
		if t.DrainUntil.IsZero() {
			s.reconsider(r, place{r.Name, arn, key})
		}
	}
}

// groupsOf returns the target groups that listeners and their rules forward to.
func groupsOf(listeners []state.Listener) map[string]bool {
	arns := map[string]bool{}
	for _, l := range listeners {
		addGroups(arns, l.DefaultActions)
		for _, rule := range l.Rules {
			addGroups(arns, rule.Actions)
		}
	}
	return arns
}

// listener returns a listener of the caller with its balancer and its index there.
func listener(r *state.Region, c *wire.Call, arn *string) (*state.LoadBalancer, int, error) {
	parts := strings.Split(aws.ToString(arn), "/")
	if len(parts) < 2 {
		return nil, 0, noListener()
	}
	owner := strings.Replace(strings.Join(parts[:len(parts)-1], "/"), ":listener/", ":loadbalancer/", 1)
	b, err := balancer(r, c, &owner)
	if err != nil {
		return nil, 0, noListener()
	}
	for i, l := range b.Listeners {
		if *l.ListenerArn == *arn {
			return b, i, nil
		}
	}
	return nil, 0, noListener()
}

func (s *Service) modifyListener(_ context.Context, c *wire.Call, in *elbv2.ModifyListenerInput) (*elbv2.ModifyListenerOutput, error) {
	if in.MutualAuthentication != nil || len(in.AlpnPolicy) > 0 {
		return nil, unsupported("Mutual authentication and ALPN")
	}
	out := &elbv2.ModifyListenerOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		b, i, err := listener(r, c, in.ListenerArn)
		if err != nil {
			return err
		}
		l := merge(b.Listeners[i].Listener, in)
		if err := checkListener(r, b, &l); err != nil {
			return err
		}
		listeners := slices.Clone(b.Listeners)
		listeners[i].Listener = l
		s.relisten(r, b, listeners)
		out.Listeners = []types.Listener{l}
		return nil
	})
}

// merge returns a listener as a request changes it.
func merge(l types.Listener, in *elbv2.ModifyListenerInput) types.Listener {
	if in.Port != nil {
		l.Port = in.Port
	}
	if in.Protocol != "" && in.Protocol != l.Protocol {
		l.Protocol, l.Certificates, l.SslPolicy = in.Protocol, nil, nil
	}
	if len(in.Certificates) > 0 {
		l.Certificates = slices.Clone(in.Certificates)
	}
	if in.SslPolicy != nil {
		l.SslPolicy = in.SslPolicy
	}
	if len(in.DefaultActions) > 0 {
		l.DefaultActions = in.DefaultActions
	}
	return l
}

func (s *Service) describeListeners(_ context.Context, c *wire.Call, in *elbv2.DescribeListenersInput) (*elbv2.DescribeListenersOutput, error) {
	if (in.LoadBalancerArn == nil) == (len(in.ListenerArns) == 0) {
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	}
	out := &elbv2.DescribeListenersOutput{Listeners: []types.Listener{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		found := []types.Listener{}
		if in.LoadBalancerArn != nil {
			b, err := balancer(r, c, in.LoadBalancerArn)
			if err != nil {
				return err
			}
			for _, l := range b.Listeners {
				found = append(found, l.Listener)
			}
		}
		for _, arn := range in.ListenerArns {
			b, i, err := listener(r, c, &arn)
			if err != nil {
				return err
			}
			found = append(found, b.Listeners[i].Listener)
		}
		var err error
		out.Listeners, out.NextMarker, err = kit.Paginate(found, page(c, in.PageSize, in.Marker))
		return err
	})
}

func (s *Service) deleteListener(_ context.Context, c *wire.Call, in *elbv2.DeleteListenerInput) (*elbv2.DeleteListenerOutput, error) {
	return &elbv2.DeleteListenerOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		b, i, err := listener(r, c, in.ListenerArn)
		if err != nil {
			return err
		}
		s.relisten(r, b, slices.Delete(slices.Clone(b.Listeners), i, i+1))
		return nil
	})
}
