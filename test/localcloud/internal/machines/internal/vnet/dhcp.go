package vnet

import (
	"encoding/binary"
	"errors"
	"net"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// What is needed of DHCP (RFC 2131, RFC 2132).
const (
	dhcpServer, dhcpClient = 67, 68 // ports

	dhcpFixed = 240 // bytes before the options
	dhcpMagic = 0x63825363

	dhcpDiscover, dhcpOffer, dhcpRequest, dhcpAck, dhcpNak = 1, 2, 3, 5, 6
	dhcpInform                                             = 8

	optMask, optRouter, optResolver, optMTU, optBroadcast = 1, 3, 6, 26, 28
	optWanted, optLease, optKind, optServer, optEnd       = 50, 51, 53, 54, 255

	lease    = 3600 // seconds, as EC2's
	bootpMin = 300  // bytes; old clients take nothing shorter
)

func (n *Network) serveDHCP() error {
	var wait waiter.Queue
	endpoint, failed := n.stack.NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &wait)
	if failed != nil {
		return errors.New("DHCP: " + failed.String())
	}
	endpoint.SocketOptions().SetBroadcast(true)
	if failed := endpoint.Bind(tcpip.FullAddress{NIC: nic, Port: dhcpServer}); failed != nil {
		endpoint.Close()
		return errors.New("DHCP: " + failed.String())
	}
	conn := gonet.NewUDPConn(&wait, endpoint)
	n.running.Go(func() {
		<-n.ctx.Done()
		_ = conn.Close()
	})
	n.running.Go(func() {
		b := make([]byte, mtu)
		for {
			size, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := n.lease(b[:size]); answer != nil {
				// Everybody on the link is the one guest, which may have no address yet.
				_, _ = conn.WriteTo(answer, &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpClient})
			}
		}
	})
	return nil
}

// lease answers a message of a client, or returns nil where there is nothing to say.
func (n *Network) lease(ask []byte) []byte {
	if len(ask) < dhcpFixed || ask[0] != 1 || binary.BigEndian.Uint32(ask[236:]) != dhcpMagic {
		return nil
	}
	kind, wanted := options(ask[dhcpFixed:])
	var reply byte
	switch kind {
	case dhcpDiscover:
		reply = dhcpOffer
	case dhcpRequest:
		reply = dhcpAck
		if has := [4]byte(ask[12:16]); has != [4]byte{} {
			wanted = has // it renews
		}
		if wanted != n.guest.As4() {
			reply = dhcpNak
		}
	case dhcpInform:
		reply = dhcpAck
	default:
		return nil
	}
	return n.reply(ask, reply)
}

// options returns the kind of a message, and the address that it asks for.
func options(b []byte) (kind byte, wanted [4]byte) {
	for len(b) > 1 && b[0] != optEnd {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		value := b[2:]
		if len(value) < int(b[1]) {
			break
		}
		value = value[:b[1]]
		switch {
		case b[0] == optKind && len(value) == 1:
			kind = value[0]
		case b[0] == optWanted && len(value) == 4:
			wanted = [4]byte(value)
		}
		b = b[2+len(value):]
	}
	return kind, wanted
}

func (n *Network) reply(ask []byte, kind byte) []byte {
	guest, gateway, resolver := n.guest.As4(), n.gateway.As4(), n.resolver.As4()
	b := make([]byte, dhcpFixed)
	copy(b, []byte{2, 1, header.EthernetAddressSize, 0}) // an answer, over Ethernet
	copy(b[4:8], ask[4:8])                               // transaction
	copy(b[10:12], ask[10:12])                           // flags
	copy(b[12:16], ask[12:16])                           // the client's address
	copy(b[28:44], ask[28:44])                           // and that of its card
	copy(b[20:24], gateway[:])
	binary.BigEndian.PutUint32(b[236:], dhcpMagic)
	add := func(option byte, value ...byte) { b = append(append(b, option, byte(len(value))), value...) } //nolint:gosec // few bytes
	add(optKind, kind)
	add(optServer, gateway[:]...)
	if kind != dhcpNak {
		copy(b[16:20], guest[:])
		add(optLease, binary.BigEndian.AppendUint32(nil, lease)...)
		add(optMask, 255, 255, 255, 0)
		add(optBroadcast, guest[0], guest[1], guest[2], 255)
		add(optRouter, gateway[:]...)
		add(optResolver, resolver[:]...)
		add(optMTU, mtu>>8, mtu&0xff)
	}
	b = append(b, optEnd)
	return append(b, make([]byte, max(0, bootpMin-len(b)))...)
}
