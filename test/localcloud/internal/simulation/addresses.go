package simulation

import (
	"encoding/binary"
	"net/netip"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// addresses gives each instance addresses where nothing answers: private ones of 10.0.0.0/8, public ones of 100.64.0.0/10, which no one
// on the internet has.
type addresses struct{ given uint32 }

// take returns the addresses of a new instance: those that it has already, and new ones for what is missing.
func (a *addresses) take(has compute.Addresses) compute.Addresses {
	a.given++
	if has.Private == "" {
		has.Private = nth(10<<24, 24, a.given)
	}
	if has.Public == "" {
		has.Public = nth(100<<24|64<<16, 22, a.given)
	}
	return has
}

// nth returns an address of a network with so many bits for hosts.
func nth(network uint32, bits int, n uint32) string {
	hosts := uint32(1)<<bits - 2
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], network+1+(n-1)%hosts)
	return netip.AddrFrom4(raw).String()
}
