package machines

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// address returns where an instance answers: the address that it has had, or the one that follows from its identity, unless another
// one is there.
func (d *Driver) address(s compute.Spec) (compute.Addresses, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for address, id := range d.taken {
		if id == s.ID {
			return compute.Addresses{Private: address, Public: address}, nil
		}
	}
	if a, err := netip.ParseAddr(s.Addresses.Private); err == nil && a.Is4() && a.IsLoopback() && d.taken[a.String()] == "" {
		return d.take(a, s.ID), nil
	}
	sum := sha256.Sum256([]byte(s.ID))
	first := binary.BigEndian.Uint32(sum[:])
	for n := range uint32(1 << 16) {
		if a := loopback(first + n); d.taken[a.String()] == "" {
			return d.take(a, s.ID), nil
		}
	}
	return compute.Addresses{}, errors.New("no address of 127.0.0.0/8 is left")
}

func (d *Driver) take(a netip.Addr, id string) compute.Addresses {
	d.taken[a.String()] = id
	return compute.Addresses{Private: a.String(), Public: a.String()}
}

// loopback returns an address of 127.64.0.0 to 127.127.255.255, away from those that hosts and people like to use.
func loopback(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 64 | byte(n>>16)&63, byte(n >> 8), max(1, min(byte(n), 254))}) //nolint:gosec // parts of a hash
}

// identity returns the UUID that EC2 would give the machine: it begins with ec2, by which the guest knows where it is.
func identity(id string) string {
	sum := sha256.Sum256([]byte(id))
	h := "ec2" + hex.EncodeToString(sum[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}
