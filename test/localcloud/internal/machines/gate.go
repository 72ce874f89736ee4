package machines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

const (
	narrow   = 128  // ports of a range that all answer
	mostOpen = 1024 // listeners of an instance
)

// wellKnown are the ports that answer if a wide range is open: everything, as a rule.
func wellKnown() []int {
	return []int{
		22, 25, 53, 80, 111, 389, 443, 636, 1433, 1521, 2049, 2379, 3000, 3128, 3306, 3389, 4000, 4443, 5000, 5044, 5432, 5601, 5672, 5900, 5985, 5986,
		6379, 6443, 7000, 7077, 7474, 8000, 8008, 8080, 8081, 8086, 8088, 8090, 8123, 8200, 8443, 8500, 8501, 8888, 9000, 9042, 9090, 9092, 9093, 9100,
		9200, 9300, 9443, 9999, 10250, 11211, 15672, 25565, 27017,
	}
}

// gate is the ports of an instance on this host.
type gate struct {
	address string
	forward func(conn net.Conn, port int)
	more    []int
	log     *slog.Logger

	mu        sync.Mutex
	wanted    []int
	ready     bool // the guest uses its network
	closed    bool
	listeners map[int]net.Listener
	accepting sync.WaitGroup
}

func newGate(address string, forward func(conn net.Conn, port int), more []int, log *slog.Logger) *gate {
	return &gate{address: address, forward: forward, more: more, log: log, listeners: map[int]net.Listener{}}
}

// set says which ports are to answer.
func (g *gate) set(ports []compute.Port) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wanted = expand(ports, g.more)
	g.apply()
}

// open lets the ports answer from now on.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready = true
	g.apply()
}

func (g *gate) close() {
	g.mu.Lock()
	g.closed, g.wanted = true, nil
	g.apply()
	g.mu.Unlock()
	g.accepting.Wait()
}

// apply listens where it should, and nowhere else.
func (g *gate) apply() {
	for port, l := range g.listeners {
		if !slices.Contains(g.wanted, port) {
			delete(g.listeners, port)
			_ = l.Close()
		}
	}
	if !g.ready || g.closed {
		return
	}
	for _, port := range g.wanted {
		if g.listeners[port] == nil {
			g.listen(port)
		}
	}
}

func (g *gate) listen(port int) {
	var c net.ListenConfig
	l, err := c.Listen(context.Background(), "tcp4", net.JoinHostPort(g.address, strconv.Itoa(port)))
	if err != nil {
		g.log.Warn("a port of an instance does not answer", "address", g.address, "port", port, "error", explain(err, port))
		return
	}
	g.listeners[port] = l
	g.accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go g.forward(conn, port)
		}
	})
}

// explain says what to do about a port that cannot be had.
func explain(err error, port int) error {
	switch {
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: ports below 1024 are for root: run iibake as root, or let everybody have them with sysctl net.ipv4.ip_unprivileged_port_start=%d", err, port)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: a program of this host, sshd perhaps, has port %d of all addresses: let it listen to its own addresses only (ListenAddress)", err, port)
	}
	return err
}

// PrivilegedPorts returns why instances cannot answer on ports below 1024 of this host, or nil if they can.
func PrivilegedPorts(ctx context.Context) error {
	const port = 22
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp4", net.JoinHostPort("127.127.255.254", strconv.Itoa(port)))
	if err != nil {
		return explain(err, port)
	}
	return l.Close()
}

// expand returns the ports of ranges, in ascending order.
func expand(ranges []compute.Port, more []int) []int {
	var all []int
	for _, r := range ranges {
		from, to := max(1, r.From), min(r.To, 65535)
		if to-from < narrow {
			for port := from; port <= to; port++ {
				all = append(all, port)
			}
			continue
		}
		for _, port := range append(wellKnown(), more...) {
			if port >= from && port <= to {
				all = append(all, port)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), mostOpen)]
}
