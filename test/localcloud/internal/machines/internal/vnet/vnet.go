// Package vnet is the network of a machine: what its only network card is plugged into. It is a TCP/IP stack in this process, so
// that no privilege of the host is needed and nothing of it can be reached from the host's network.
//
// The guest gets an address by DHCP, names from the host's resolver, the Internet by connections that this process makes for
// it, and its metadata service at 169.254.169.254. Other addresses of the host's loopback and link are out of its reach. There is no
// IPv6 and no ICMP beyond the gateway, as in a subnet without them.
package vnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	nic       = 1
	mtu       = 1500
	queue     = 1024 // frames on their way to the guest; what does not fit is lost, as on a wire
	router    = "\x0a\xff\xff\x00\x00\x01"
	dialLimit = 10 * time.Second
)

// plan is the addresses in the network; they are the same for every guest, for each has a network of its own.
type plan struct{ guest, gateway, metadata, resolver netip.Addr }

func addresses() plan {
	return plan{
		guest:    netip.AddrFrom4([4]byte{10, 0, 2, 15}),
		gateway:  netip.AddrFrom4([4]byte{10, 0, 2, 1}),
		metadata: netip.AddrFrom4([4]byte{169, 254, 169, 254}),
		resolver: netip.AddrFrom4([4]byte{169, 254, 169, 253}),
	}
}

const prefix = 24 // bits of the guest's subnet

// Config is what a network needs.
type Config struct {
	Metadata http.Handler // answers at 169.254.169.254:80
	// HopLimit is how many routers the answer to a request for a metadata token may pass, asked at each one. May be nil for 1.
	HopLimit func() int
	// Dial makes the connections of the guest to the world. May be nil for those of this host.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Network is the network of one machine. It is safe for concurrent use.
type Network struct {
	plan
	stack    *stack.Stack
	link     *channel.Endpoint
	hopLimit func() int
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	ctx      context.Context //nolint:containedctx // of the connections that guests make; ends with Close
	cancel   context.CancelFunc
	requests chan net.Conn // to the metadata service
	server   *http.Server
	running  sync.WaitGroup

	mu    sync.Mutex
	cable *cable // nil while the machine is off
	up    chan struct{}
	heard atomic.Int64 // frames of a guest that has its address
}

// New returns a network into which no machine is plugged yet.
func New(c Config) (*Network, error) {
	n := &Network{
		plan: addresses(), link: channel.New(queue, mtu+header.EthernetMinimumSize, tcpip.LinkAddress(router)), hopLimit: c.HopLimit, dial: c.Dial,
		requests: make(chan net.Conn), up: make(chan struct{}),
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
		}),
	}
	if n.dial == nil {
		n.dial = new(net.Dialer).DialContext
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.configure(); err != nil {
		n.cancel()
		n.stack.Destroy()
		return nil, fmt.Errorf("network of a machine: %w", err)
	}
	n.serve(c.Metadata)
	n.running.Go(n.send)
	return n, nil
}

func (n *Network) configure() error {
	sack := tcpip.TCPSACKEnabled(true)
	for _, err := range []tcpip.Error{
		n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack),
		n.stack.CreateNIC(nic, ethernet.New(n.link)),
		n.stack.SetPromiscuousMode(nic, true),                                  // the guest's packets are for the whole Internet
		n.stack.SetSpoofing(nic, true),                                         // and so the answers come from there
		n.own(n.gateway, prefix), n.own(n.metadata, 32), n.own(n.resolver, 32), // some guests ask for these on the link
	} {
		if err != nil {
			return errors.New(err.String())
		}
	}
	n.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	n.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(n.stack, 0, 1024, n.forwardTCP).HandlePacket)
	n.stack.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(n.stack, n.forwardUDP).HandlePacket)
	return n.serveDHCP()
}

func (n *Network) own(a netip.Addr, bits int) tcpip.Error {
	return n.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(a.As4()), PrefixLen: bits},
	}, stack.AddressProperties{})
}

// Dial connects to a TCP port of the guest. It fails where the guest refuses, and when it does not answer at all.
func (n *Network) Dial(ctx context.Context, port int) (net.Conn, error) {
	to := tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(n.guest.As4()), Port: uint16(port)} //nolint:gosec // a TCP port
	conn, err := gonet.DialContextTCP(ctx, n.stack, to, ipv4.ProtocolNumber)
	if err != nil {
		return nil, fmt.Errorf("port %d of the machine: %w", port, err)
	}
	return conn, nil
}

// Up returns a channel that is closed once the guest has used its address since it was plugged in first.
func (n *Network) Up() <-chan struct{} { return n.up }

// Close hangs up all connections and ends the network. It waits until nothing of it is left.
func (n *Network) Close() {
	n.cancel()
	_ = n.server.Close()
	n.unplug()
	n.link.Close()
	n.running.Wait()
	n.stack.Destroy()
}

// splice copies between two connections, in both directions, until both have hung up or the network ends.
func (n *Network) splice(a, b net.Conn) {
	stop := context.AfterFunc(n.ctx, func() { _, _ = a.Close(), b.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { pass(a, b) })
	both.Go(func() { pass(b, a) })
	both.Wait()
	_, _ = a.Close(), b.Close()
}
