package elb

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// provisioning is how long a new balancer is not active yet. The service takes two to three minutes; what waits for it should see both states and
// not lose minutes.
const provisioning = 10 * time.Second

// createLoadBalancer is idempotent, as documented: the same name with the same settings is the balancer that is there.
func (s *Service) createLoadBalancer(_ context.Context, c *wire.Call, in *elbv2.CreateLoadBalancerInput) (*elbv2.CreateLoadBalancerOutput, error) {
	if err := checkBalancer(in); err != nil {
		return nil, err
	}
	out := &elbv2.CreateLoadBalancerOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		b, err := newBalancer(r, c, in)
		if err != nil {
			return err
		}
		if s.forwarded.Load() {
			b.DNSName = aws.String(loopback(*b.LoadBalancerArn))
		}
		if old := balancerNamed(r, c.Account, *in.Name); old != nil {
			if old.Type != b.Type || old.Scheme != b.Scheme || !slices.EqualFunc(old.AvailabilityZones, b.AvailabilityZones, sameZone) {
				return wire.Errorf("DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", *in.Name)
			}
			out.LoadBalancers = []types.LoadBalancer{old.LoadBalancer}
			return nil
		}
		r.LoadBalancers.Put(*b.LoadBalancerArn, &state.LoadBalancer{
			LoadBalancer: b, Account: c.Account, Attributes: balancerAttributes(b.Type), Tags: slices.Clone(in.Tags),
		})
		s.provision(r.Name, *b.LoadBalancerArn)
		out.LoadBalancers = []types.LoadBalancer{b}
		return nil
	})
}

// checkBalancer checks what can be checked without the records.
func checkBalancer(in *elbv2.CreateLoadBalancerInput) error {
	if err := checkName("Load balancer", aws.ToString(in.Name)); err != nil {
		return err
	}
	if err := checkTags(in.Tags); err != nil {
		return err
	}
	if strings.HasPrefix(*in.Name, "internal-") {
		return invalid("Load balancer name '%s' cannot begin with 'internal-'", *in.Name)
	}
	if t := in.Type; t != "" && t != types.LoadBalancerTypeEnumApplication && t != types.LoadBalancerTypeEnumNetwork {
		return unsupported("Load balancer type '" + string(t) + "'")
	}
	switch {
	case in.IpAddressType != "" && in.IpAddressType != types.IpAddressTypeIpv4:
		return unsupported("IP address type '" + string(in.IpAddressType) + "'")
	case in.CustomerOwnedIpv4Pool != nil || in.IpamPools != nil || in.EnablePrefixForIpv6SourceNat != "":
		return unsupported("An address pool")
	case len(in.Subnets) > 0 && len(in.SubnetMappings) > 0:
		return invalid("You can specify either subnets or subnet mappings, not both")
	}
	return nil
}

func newBalancer(r *state.Region, c *wire.Call, in *elbv2.CreateLoadBalancerInput) (types.LoadBalancer, error) {
	b := types.LoadBalancer{
		LoadBalancerName: in.Name, CreatedTime: aws.Time(r.Now()), CanonicalHostedZoneId: aws.String("Z32O12XQLNTSW2"),
		Scheme: in.Scheme, Type: in.Type, IpAddressType: types.IpAddressTypeIpv4, SecurityGroups: slices.Clone(in.SecurityGroups),
		State: &types.LoadBalancerState{Code: types.LoadBalancerStateEnumProvisioning},
	}
	if b.Scheme == "" {
		b.Scheme = types.LoadBalancerSchemeEnumInternetFacing
	}
	kind := "net"
	if b.Type == "" || b.Type == types.LoadBalancerTypeEnumApplication {
		b.Type, kind = types.LoadBalancerTypeEnumApplication, "app"
	}
	if err := site(r, c, in, &b); err != nil {
		return b, err
	}
	id := newID()
	b.LoadBalancerArn = aws.String(arn(c, "loadbalancer/"+kind+"/"+*in.Name+"/"+id))
	name := *in.Name + "-" + id
	if b.Scheme == types.LoadBalancerSchemeEnumInternal {
		name = "internal-" + name
	}
	b.DNSName = aws.String(name + ".elb." + c.Region + ".amazonaws.com")
	return b, nil
}

// site sets the VPC, the zones and the security groups of a balancer.
func site(r *state.Region, c *wire.Call, in *elbv2.CreateLoadBalancerInput, b *types.LoadBalancer) error {
	ids := slices.Clone(in.Subnets)
	for _, m := range in.SubnetMappings {
		ids = append(ids, aws.ToString(m.SubnetId))
	}
	seen := map[string]bool{}
	for _, id := range ids {
		n := r.Subnets.Get(id)
		switch {
		case n == nil || aws.ToString(n.OwnerId) != c.Account:
			return wire.Errorf("SubnetNotFound", "The subnet ID '%s' does not exist", id)
		case b.VpcId != nil && *b.VpcId != *n.VpcId:
			return wire.Errorf("InvalidSubnet", "All subnets must belong to the same VPC: '%s'", *b.VpcId)
		case seen[*n.AvailabilityZone]:
			return misfit("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		seen[*n.AvailabilityZone] = true
		b.VpcId = n.VpcId
		b.AvailabilityZones = append(b.AvailabilityZones, types.AvailabilityZone{SubnetId: n.SubnetId, ZoneName: n.AvailabilityZone, LoadBalancerAddresses: []types.LoadBalancerAddress{}})
	}
	switch {
	case len(ids) == 0:
		return invalid("At least one subnet must be specified")
	case len(seen) < 2 && b.Type == types.LoadBalancerTypeEnumApplication:
		return invalid("At least two subnets in two different Availability Zones must be specified")
	}
	for _, id := range in.SecurityGroups {
		if g := r.SecurityGroups.Get(id); g == nil || aws.ToString(g.OwnerId) != c.Account {
			return wire.Errorf("InvalidSecurityGroup", "Invalid security group ID '%s'", id)
		}
	}
	return nil
}

func sameZone(a, b types.AvailabilityZone) bool {
	return aws.ToString(a.SubnetId) == aws.ToString(b.SubnetId)
}

// provision makes a balancer active in a while.
func (s *Service) provision(region, arn string) {
	s.store.Clock().AfterFunc(provisioning, func() {
		_ = s.store.Update(region, func(r *state.Region) error {
			if b := r.LoadBalancers.Edit(arn); b != nil {
				b.State = &types.LoadBalancerState{Code: types.LoadBalancerStateEnumActive}
			}
			return nil
		})
	})
}

func balancerNamed(r *state.Region, account, name string) *state.LoadBalancer {
	for _, b := range r.LoadBalancers.All() {
		if b.Account == account && *b.LoadBalancerName == name {
			return b
		}
	}
	return nil
}

// balancer returns a balancer of the caller for reading.
func balancer(r *state.Region, c *wire.Call, arn *string) (*state.LoadBalancer, error) {
	b := r.LoadBalancers.Get(aws.ToString(arn))
	if b == nil || b.Account != c.Account {
		return nil, noBalancer()
	}
	return b, nil
}

func (s *Service) describeLoadBalancers(_ context.Context, c *wire.Call, in *elbv2.DescribeLoadBalancersInput) (*elbv2.DescribeLoadBalancersOutput, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	out := &elbv2.DescribeLoadBalancersOutput{LoadBalancers: []types.LoadBalancer{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		var found []types.LoadBalancer
		arns := slices.Compact(slices.Sorted(slices.Values(in.LoadBalancerArns)))
		for _, arn := range arns {
			b, err := balancer(r, c, &arn)
			if err != nil {
				return err
			}
			found = append(found, b.LoadBalancer)
		}
		if len(arns) == 0 {
			var err error
			if found, err = balancersNamed(r, c, in.Names); err != nil {
				return err
			}
		}
		var err error
		key := func(b types.LoadBalancer) string { return *b.LoadBalancerArn }
		out.LoadBalancers, out.NextMarker, err = kit.PaginateBy(found, key, page(c, in.PageSize, in.Marker))
		return err
	})
}

// balancersNamed returns the balancers with these names, or all, sorted by ARN.
func balancersNamed(r *state.Region, c *wire.Call, names []string) ([]types.LoadBalancer, error) {
	found, missing := []types.LoadBalancer{}, slices.Clone(names)
	for _, b := range r.LoadBalancers.Sorted() {
		i := slices.Index(names, *b.LoadBalancerName)
		if b.Account == c.Account && (len(names) == 0 || i >= 0) {
			found = append(found, b.LoadBalancer)
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == *b.LoadBalancerName })
		}
	}
	if len(missing) > 0 {
		return nil, wire.Errorf("LoadBalancerNotFound", "Load balancers '[%s]' not found", strings.Join(missing, ", "))
	}
	return found, nil
}

// deleteLoadBalancer succeeds, as documented, also where the balancer is not there (any more). Its listeners and rules go with it.
func (s *Service) deleteLoadBalancer(_ context.Context, c *wire.Call, in *elbv2.DeleteLoadBalancerInput) (*elbv2.DeleteLoadBalancerOutput, error) {
	return &elbv2.DeleteLoadBalancerOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		b, err := balancer(r, c, in.LoadBalancerArn)
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		if b.Attributes["deletion_protection.enabled"] == "true" {
			return wire.Errorf("OperationNotPermitted", "Load balancer '%s' cannot be deleted because deletion protection is enabled", *in.LoadBalancerArn)
		}
		r.LoadBalancers.Delete(*in.LoadBalancerArn)
		s.reassign(r, b, nil)
		return nil
	})
}
