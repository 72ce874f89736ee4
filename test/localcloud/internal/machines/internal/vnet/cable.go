package vnet

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	frameLimit = 64 << 10
	arpPoll    = 20 * time.Millisecond
)

// cable is a connection to QEMU that carries frames, each behind its length in four bytes.
type cable struct{ net.Conn }

// Plug takes over the cable of a machine that has been switched on, in place of the one of its last start.
func (n *Network) Plug(conn net.Conn) {
	c := &cable{conn}
	n.mu.Lock()
	old := n.cable
	n.cable = c
	n.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	if n.ctx.Err() != nil {
		_ = conn.Close()
		return
	}
	n.running.Go(func() { n.receive(c) })
}

func (n *Network) unplug() {
	if c := n.plugged(); c != nil {
		_ = c.Close()
	}
}

func (n *Network) plugged() *cable {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cable
}

// receive takes frames from the guest until it is switched off.
func (n *Network) receive(c *cable) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for {
		var length uint32
		if binary.Read(r, binary.BigEndian, &length) != nil || length > frameLimit {
			return
		}
		frame := make([]byte, length)
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		n.hear(frame)
		packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
		n.link.InjectInbound(0, packet) // the link reads the protocol from the frame
		packet.DecRef()
	}
}

// hear notices that the guest has its address.
func (n *Network) hear(frame []byte) {
	if len(frame) < header.EthernetMinimumSize+header.ARPSize {
		return
	}
	body := frame[header.EthernetMinimumSize:]
	var from [4]byte
	switch header.Ethernet(frame).Type() {
	case header.IPv4ProtocolNumber:
		from = [4]byte(body[12:16])
	case header.ARPProtocolNumber:
		from = [4]byte(header.ARP(body).ProtocolAddressSender())
	}
	if from == n.guest.As4() && n.heard.Add(1) == 1 {
		close(n.up)
	}
}

// send brings frames to the guest until the network ends. While the machine is off they are lost.
func (n *Network) send() {
	for {
		packet := n.link.ReadContext(n.ctx)
		if packet == nil {
			return
		}
		view := packet.ToView()
		n.transmit(view.AsSlice())
		view.Release()
		packet.DecRef()
	}
}

// transmit sends one frame in one piece: there are two senders.
func (n *Network) transmit(frame []byte) {
	if c := n.plugged(); c != nil {
		b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(frame)), uint32(len(frame))) //nolint:gosec // a frame
		_, _ = c.Write(append(b, frame...))                                                   // one that cannot be sent is lost
	}
}

// Alive asks, as EC2's status check does, whether the guest's network card answers to its address by ARP. It asks until ctx is
// done.
func (n *Network) Alive(ctx context.Context) bool {
	before := n.heard.Load()
	for again := time.NewTicker(arpPoll); ; {
		n.transmit(n.whoHas())
		select {
		case <-ctx.Done():
			return n.heard.Load() > before
		case <-again.C:
		}
		if n.heard.Load() > before {
			return true
		}
	}
}

// whoHas returns the question for the guest's address.
func (n *Network) whoHas() []byte {
	frame := make([]byte, header.EthernetMinimumSize+header.ARPSize)
	header.Ethernet(frame).Encode(&header.EthernetFields{
		SrcAddr: router, DstAddr: header.EthernetBroadcastAddress, Type: header.ARPProtocolNumber,
	})
	ask := header.ARP(frame[header.EthernetMinimumSize:])
	ask.SetIPv4OverEthernet()
	ask.SetOp(header.ARPRequest)
	copy(ask.HardwareAddressSender(), router)
	from, to := n.gateway.As4(), n.guest.As4()
	copy(ask.ProtocolAddressSender(), from[:])
	copy(ask.ProtocolAddressTarget(), to[:])
	return frame
}
