package network

import (
	"encoding/binary"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// pool is the addresses of a subnet. It is only used under the region's lock, and made from the instances when first needed.
type pool struct {
	base netip.Addr // IPv4
	used []bool     // by offset
	next int
	free int
}

// The first four addresses of a subnet and its last are AWS's own [documented].
const (
	reservedFirst = 4
	reservedLast  = 1
)

func newPool(cidr string) *pool {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil || !prefix.Addr().Is4() {
		return &pool{base: netip.IPv4Unspecified()} // no addresses
	}
	size := 1 << (32 - prefix.Bits())
	return &pool{
		base: prefix.Masked().Addr(), used: make([]bool, size), next: reservedFirst, free: max(0, size-reservedFirst-reservedLast),
	}
}

// take returns the next free address, round and round, so that one that was given up is not soon met again.
func (p *pool) take() (string, bool) {
	if p.free == 0 {
		return "", false
	}
	for p.used[p.next] {
		p.advance()
	}
	n := p.next
	p.mark(n)
	p.advance()
	return p.address(n), true
}

func (p *pool) advance() {
	if p.next++; p.next >= len(p.used)-reservedLast {
		p.next = reservedFirst
	}
}

func (p *pool) mark(n int) { p.used[n], p.free = true, p.free-1 }

func (p *pool) release(address string) {
	if n, ok := p.offset(address); ok && p.used[n] {
		p.used[n], p.free = false, p.free+1
	}
}

func (p *pool) address(n int) string {
	b := p.base.As4()
	v := binary.BigEndian.Uint32(b[:]) + uint32(n) //nolint:gosec // an offset in a subnet
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b).String()
}

// offset returns where in the subnet an address lies, and whether instances can have it.
func (p *pool) offset(address string) (int, bool) {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b, f := p.base.As4(), a.As4()
	n := 0
	for i := range b {
		n = n<<8 + int(f[i]) - int(b[i])
	}
	return n, n >= reservedFirst && n < len(p.used)-reservedLast
}

// Take gives an instance an address in a subnet: the one that it wants, or where that is empty any. It is called inside an Update; the
// instance keeps the address in its record as Address, and Release gives it up.
func (s *Service) Take(r *state.Region, subnet *state.Subnet, want string) (string, error) {
	p := s.pool(r, subnet)
	if want == "" {
		if a, ok := p.take(); ok {
			return a, nil
		}
		return "", wire.Errorf("InsufficientFreeAddressesInSubnet",
			"There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", aws.ToString(subnet.SubnetId))
	}
	n, ok := p.offset(want)
	switch {
	case !ok:
		return "", wire.Errorf("InvalidParameterValue", "Address %s does not fall within the subnet's address range", want)
	case p.used[n]:
		return "", wire.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", want)
	}
	p.mark(n)
	return want, nil
}

// Free returns how many instances a subnet still has addresses for.
func (s *Service) Free(r *state.Region, subnet *state.Subnet) int { return s.pool(r, subnet).free }

// Release gives up an address that Take gave.
func (s *Service) Release(r *state.Region, subnet, address string) {
	if row := r.Subnets.Get(subnet); row != nil && address != "" {
		s.pool(r, row).release(address)
	}
}

// pool returns a subnet's pool. The pools of a region are made all at once, from one look at its instances.
func (s *Service) pool(r *state.Region, subnet *state.Subnet) *pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pools := s.pools[r.Name]
	if pools == nil {
		pools = map[string]*pool{}
		s.pools[r.Name] = pools
		for id, row := range r.Subnets.All() {
			pools[id] = newPool(aws.ToString(row.CidrBlock))
		}
		occupy(r, pools)
	}
	id := aws.ToString(subnet.SubnetId)
	if pools[id] == nil {
		pools[id] = newPool(aws.ToString(subnet.CidrBlock))
	}
	return pools[id]
}

func occupy(r *state.Region, pools map[string]*pool) {
	for _, in := range r.Instances.All() {
		p := pools[aws.ToString(in.SubnetId)]
		if p == nil || in.Address == "" || in.State.Name == ec2types.InstanceStateNameTerminated {
			continue
		}
		if n, ok := p.offset(in.Address); ok && !p.used[n] {
			p.mark(n)
		}
	}
}
