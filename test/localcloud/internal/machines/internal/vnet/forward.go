package vnet

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	dnsPort  = 53
	httpPort = 80
	udpIdle  = time.Minute // after which nobody waits for another datagram
)

// target returns where a guest wants to connect to.
func target(id stack.TransportEndpointID) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(id.LocalAddress.As4()), id.LocalPort)
}

// route returns the address to connect to for the guest, and whether it may be: not this host's loopback or link.
func (n *Network) route(to netip.AddrPort) (netip.AddrPort, bool) {
	a := to.Addr()
	if to.Port() == dnsPort && (a == n.resolver || a == n.gateway) {
		return hostResolver()
	}
	subnet := netip.PrefixFrom(n.gateway, prefix)
	return to, a.IsGlobalUnicast() && !subnet.Contains(a)
}

// hostResolver returns the first name server of the host.
func hostResolver() (netip.AddrPort, bool) {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return netip.AddrPort{}, false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				return netip.AddrPortFrom(a, dnsPort), true
			}
		}
	}
	return netip.AddrPort{}, false
}

// forwardTCP answers a connection that the guest asks for: accepted is what was accepted out there.
func (n *Network) forwardTCP(r *tcp.ForwarderRequest) {
	to := target(r.ID())
	if to == netip.AddrPortFrom(n.metadata, httpPort) {
		n.acceptMetadata(r)
		return
	}
	out, ok := n.route(to)
	if !ok {
		r.Complete(true)
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, dialLimit)
	defer cancel()
	there, err := n.dial(ctx, "tcp", out.String())
	if err != nil {
		r.Complete(true)
		return
	}
	var wait waiter.Queue
	here, failed := r.CreateEndpoint(&wait)
	r.Complete(failed != nil)
	if failed != nil {
		_ = there.Close()
		return
	}
	n.splice(gonet.NewTCPConn(&wait, here), there)
}

// pass copies until one end of the stream is gone, and tells the other.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		_, _ = to.Close(), from.Close()
	}
}

// forwardUDP passes datagrams from one port of the guest to one address, and what comes back.
func (n *Network) forwardUDP(r *udp.ForwarderRequest) bool {
	out, ok := n.route(target(r.ID()))
	if !ok {
		return false
	}
	var wait waiter.Queue
	here, failed := r.CreateEndpoint(&wait)
	if failed != nil {
		return false
	}
	guest := gonet.NewUDPConn(&wait, here)
	n.running.Go(func() {
		defer func() { _ = guest.Close() }()
		there, err := n.dial(n.ctx, "udp", out.String())
		if err != nil {
			return
		}
		stop := context.AfterFunc(n.ctx, func() { _, _ = guest.Close(), there.Close() })
		defer stop()
		n.running.Go(func() {
			defer func() { _, _ = guest.Close(), there.Close() }()
			datagrams(there, guest)
		})
		datagrams(guest, there)
		_ = there.Close()
	})
	return true
}

// datagrams copies until none has come for a while.
func datagrams(to, from net.Conn) {
	b := make([]byte, frameLimit)
	for {
		if from.SetReadDeadline(time.Now().Add(udpIdle)) != nil {
			return
		}
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// Forward passes a connection of this host to a TCP port of the guest, and takes it over. Where the guest refuses, the connection is
// reset.
func (n *Network) Forward(conn net.Conn, port int) {
	ctx, cancel := context.WithTimeout(n.ctx, dialLimit)
	defer cancel()
	there, err := n.Dial(ctx, port)
	if err != nil {
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0) // a reset says more than an end
		}
		_ = conn.Close()
		return
	}
	n.splice(conn, there)
}
