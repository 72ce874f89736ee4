package vnet

import "net/netip"

// Route returns where a connection of the guest goes, and whether it may.
func (n *Network) Route(to string) (string, bool) {
	out, ok := n.route(netip.MustParseAddrPort(to))
	return out.String(), ok
}

// Lease answers a DHCP message.
func (n *Network) Lease(ask []byte) []byte { return n.lease(ask) }
