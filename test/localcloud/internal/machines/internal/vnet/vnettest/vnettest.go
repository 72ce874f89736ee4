// Package vnettest has a guest for tests of networks: no machine, but a network stack at the other end of the cable.
package vnettest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Guest is a machine without a machine: a network stack at the other end of the cable.
type Guest struct{ *stack.Stack }

// Boot plugs a guest with the address 10.0.2.15 into a network.
func Boot(t *testing.T, plug func(net.Conn)) Guest {
	t.Helper()
	link := channel.New(512, 1514, "\x0a\x00\x00\x00\x00\x01")
	g := Guest{stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})}
	must := func(err tcpip.Error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(g.CreateNIC(1, ethernet.New(link)))
	must(g.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{
		Address: Addr("10.0.2.15"), PrefixLen: 24,
	}}, stack.AddressProperties{}))
	subnet, _ := tcpip.NewSubnet(Addr("10.0.2.0"), tcpip.MaskFromBytes([]byte{255, 255, 255, 0}))
	g.SetRouteTable([]tcpip.Route{{Destination: subnet, NIC: 1}, {Destination: header.IPv4EmptySubnet, Gateway: Addr("10.0.2.1"), NIC: 1}})
	ours, theirs := net.Pipe()
	plug(theirs)
	go func() {
		for p := link.ReadContext(t.Context()); p != nil; p = link.ReadContext(t.Context()) {
			frame := p.ToView().AsSlice()
			if _, err := ours.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
				return
			}
		}
	}()
	go func() {
		for {
			var length uint32
			if binary.Read(ours, binary.BigEndian, &length) != nil {
				return
			}
			frame := make([]byte, length)
			if _, err := io.ReadFull(ours, frame); err != nil {
				return
			}
			link.InjectInbound(0, stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)}))
		}
	}()
	t.Cleanup(func() { _ = ours.Close() })
	return g
}

// Addr reads an address.
func Addr(s string) tcpip.Address { return tcpip.AddrFrom4(netip.MustParseAddr(s).As4()) }

// Dial connects to a TCP port from inside of the guest.
func (g Guest) Dial(ctx context.Context, to string) (net.Conn, error) {
	a := netip.MustParseAddrPort(to)
	return gonet.DialContextTCP(ctx, g.Stack, tcpip.FullAddress{NIC: 1, Addr: Addr(a.Addr().String()), Port: a.Port()}, ipv4.ProtocolNumber)
}

// Client asks by HTTP from inside of the guest.
func (g Guest) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, to string) (net.Conn, error) { return g.Dial(ctx, to) }}}
}

// Listen has the guest serve on a TCP port.
func (g Guest) Listen(t *testing.T, port uint16, serve func(net.Conn)) {
	t.Helper()
	l, err := gonet.ListenTCP(g.Stack, tcpip.FullAddress{NIC: 1, Port: port}, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
}
