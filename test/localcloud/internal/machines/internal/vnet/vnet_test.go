package vnet_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/vnet"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/vnet/vnettest"
)

func network(t *testing.T, c vnet.Config) *vnet.Network {
	t.Helper()
	if c.Metadata == nil {
		c.Metadata = http.NotFoundHandler()
	}
	n, err := vnet.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func get(t *testing.T, c *http.Client, method, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestMetadataService(t *testing.T) {
	n := network(t, vnet.Config{HopLimit: func() int { return 7 }, Metadata: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" of "+r.Host+" by "+r.RemoteAddr[:strings.IndexByte(r.RemoteAddr, ':')])
	})})
	g := vnettest.Boot(t, n.Plug)
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			if got := get(t, g.Client(), http.MethodPut, "http://169.254.169.254/latest/api/token"); got != "PUT /latest/api/token of 169.254.169.254 by 10.0.2.15" {
				t.Error(got)
			}
			if got := get(t, g.Client(), http.MethodGet, "http://169.254.169.254/"); got != "GET / of 169.254.169.254 by 10.0.2.15" {
				t.Error(got)
			}
		})
	}
	clients.Wait()
}

func TestGuestIsReached(t *testing.T) {
	n := network(t, vnet.Config{})
	select {
	case <-n.Up():
		t.Fatal("it is up before it was plugged in")
	default:
	}
	g := vnettest.Boot(t, n.Plug)
	g.Listen(t, 80, func(c net.Conn) {
		_, _ = io.Copy(c, c)
		_ = c.Close()
	})
	if !n.Alive(t.Context()) {
		t.Error("it does not answer")
	}
	<-n.Up()
	c, err := n.Dial(t.Context(), 80)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("0123456789", 50_000)
	go func() {
		_, _ = io.WriteString(c, long)
		_ = c.(*gonet.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || string(got) != long {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	if c, err := n.Dial(t.Context(), 81); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v, %v", c, err)
	}
}

func TestGuestThatIsOff(t *testing.T) {
	n := network(t, vnet.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if n.Alive(ctx) {
		t.Error("it answers")
	}
	if c, err := n.Dial(ctx, 22); err == nil {
		t.Error(c)
	}
	vnettest.Boot(t, n.Plug)
	if !n.Alive(t.Context()) {
		t.Error("it does not answer")
	}
	ours, theirs := net.Pipe() // it restarts, and does not get far
	n.Plug(theirs)
	go func() { _, _ = io.Copy(io.Discard, ours) }()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if n.Alive(ctx) {
		t.Error("it answers after its power was cut")
	}
}

// world is where the guest's connections end: each says where it was to go, then echoes.
func world(_ context.Context, network, address string) (net.Conn, error) {
	if strings.HasSuffix(address, ":81") {
		return nil, errors.New("nobody there")
	}
	ours, theirs := net.Pipe()
	go func() {
		_, _ = fmt.Fprintf(ours, "%s %s ", network, address)
		_, _ = io.Copy(ours, ours)
	}()
	return theirs, nil
}

func TestTheWorld(t *testing.T) {
	g := vnettest.Boot(t, network(t, vnet.Config{Dial: world}).Plug)
	c, err := g.Dial(t.Context(), "192.0.2.1:443")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "hello")
	want := "tcp 192.0.2.1:443 hello"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, to := range []string{"192.0.2.1:81", "10.0.2.7:80", "169.254.1.1:80"} {
		if c, err := g.Dial(t.Context(), to); err == nil {
			t.Error(to, c)
		}
	}
	u, err := gonet.DialUDP(g.Stack, nil, &tcpip.FullAddress{NIC: 1, Addr: vnettest.Addr("192.0.2.1"), Port: 123}, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(u, "time?")
	first := make([]byte, 100)
	if n, err := u.Read(first); err != nil || string(first[:n]) != "udp 192.0.2.1:123 " {
		t.Errorf("%q, %v", first[:n], err)
	}
	if n, err := u.Read(first); err != nil || string(first[:n]) != "time?" {
		t.Errorf("%q, %v", first[:n], err)
	}
}

func TestRoutes(t *testing.T) {
	n := network(t, vnet.Config{})
	for to, want := range map[string]bool{
		"192.0.2.1:80": true, "10.0.3.1:22": true, "127.0.0.1:22": false, "0.0.0.0:22": false, "10.0.2.1:80": false,
		"169.254.169.254:81": false, "169.254.169.253:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false,
	} {
		if out, ok := n.Route(to); ok != want || ok && out != to {
			t.Errorf("%s: %s, %t", to, out, ok)
		}
	}
}

// message is what a DHCP client sends.
func message(kind byte, has, wants [4]byte) []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2] = 1, 1, 6
	copy(b[4:], "\x01\x02\x03\x04")
	copy(b[12:], has[:])
	copy(b[28:], "\x0a\x00\x00\x00\x00\x01")
	binary.BigEndian.PutUint32(b[236:], 0x63825363)
	b = append(b, 53, 1, kind, 0, 0) // with padding
	if wants != [4]byte{} {
		b = append(append(b, 50, 4), wants[:]...)
	}
	return append(b, 255)
}

func TestLease(t *testing.T) {
	n := network(t, vnet.Config{})
	ours, other := [4]byte{10, 0, 2, 15}, [4]byte{10, 0, 2, 16}
	for name, c := range map[string]struct {
		ask  []byte
		kind byte
	}{
		"discover":         {message(1, [4]byte{}, [4]byte{}), 2},
		"request":          {message(3, [4]byte{}, ours), 5},
		"renewal":          {message(3, ours, [4]byte{}), 5},
		"another":          {message(3, [4]byte{}, other), 6},
		"renew another":    {message(3, other, [4]byte{}), 6},
		"inform":           {message(8, ours, [4]byte{}), 5},
		"release":          {message(7, ours, [4]byte{}), 0},
		"short":            {make([]byte, 239), 0},
		"cut off":          {append(message(1, ours, ours)[:246], 53, 9), 2},
		"no kind":          {make([]byte, 300), 0},
		"from the server":  {append([]byte{2}, message(1, ours, ours)[1:]...), 0},
		"option too short": {append(message(9, ours, ours)[:240], 53), 0},
	} {
		got := n.Lease(c.ask)
		if c.kind == 0 {
			if got != nil {
				t.Errorf("%s: %x", name, got)
			}
			continue
		}
		if len(got) < 300 || got[0] != 2 || string(got[4:8]) != "\x01\x02\x03\x04" || got[242] != c.kind {
			t.Fatalf("%s: %x", name, got)
		}
		if yours := [4]byte(got[16:20]); (yours == ours) != (c.kind != 6) {
			t.Errorf("%s: address %v", name, yours)
		}
	}
}

func FuzzLease(f *testing.F) {
	n, err := vnet.New(vnet.Config{Metadata: http.NotFoundHandler()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(n.Close)
	f.Add(message(1, [4]byte{}, [4]byte{10, 0, 2, 15}))
	f.Fuzz(func(t *testing.T, ask []byte) {
		if got := n.Lease(ask); got != nil && len(got) < 300 {
			t.Error(got)
		}
	})
}

// A lease is asked for and given by broadcast.
func TestLeaseOnTheWire(t *testing.T) {
	g := vnettest.Boot(t, network(t, vnet.Config{}).Plug)
	u, err := gonet.DialUDP(g.Stack, &tcpip.FullAddress{NIC: 1, Port: 68}, nil, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.WriteTo(message(1, [4]byte{}, [4]byte{}), &net.UDPAddr{IP: net.IPv4(10, 0, 2, 1), Port: 67}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	if size, from, err := u.ReadFrom(b); err != nil || size < 300 || b[242] != 2 {
		t.Errorf("%d bytes from %v, %v: %x", size, from, err, b[:size])
	}
}
