package vnet

import (
	"context"
	"net"
	"net/http"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const headerLimit = 30 * time.Second // until a request is there; guests are slow

// hopConn is a connection whose packets live for a given number of routers.
type hopConn struct {
	net.Conn
	endpoint tcpip.Endpoint
}

type connKey struct{}

// serve answers requests to the metadata service until the network ends.
func (n *Network) serve(h http.Handler) {
	n.server = &http.Server{
		Handler: n.limitHops(h), ReadHeaderTimeout: headerLimit,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	n.running.Go(func() { _ = n.server.Serve(listener{n}) })
}

// limitHops keeps the answer to a request for a token, the only PUT, from going further than it may: into a container, say.
// What follows on the connection goes to who has the token already.
func (n *Network) limitHops(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*hopConn)
		if ok && r.Method == http.MethodPut {
			hops := 1
			if n.hopLimit != nil {
				hops = max(1, min(n.hopLimit(), 64))
			}
			_ = c.endpoint.SetSockOptInt(tcpip.IPv4TTLOption, hops) // an IPv4 endpoint has it
		}
		h.ServeHTTP(w, r)
	})
}

func (n *Network) acceptMetadata(r *tcp.ForwarderRequest) {
	var wait waiter.Queue
	endpoint, failed := r.CreateEndpoint(&wait)
	r.Complete(failed != nil)
	if failed != nil {
		return
	}
	conn := &hopConn{gonet.NewTCPConn(&wait, endpoint), endpoint}
	select {
	case n.requests <- conn:
	case <-n.ctx.Done():
		_ = conn.Close()
	}
}

// listener gives the connections to the metadata service to an HTTP server.
type listener struct{ n *Network }

// Accept waits for a connection.
func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.n.requests:
		return c, nil
	case <-l.n.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close does nothing: the network ends it.
func (l listener) Close() error { return nil }

// Addr returns where the guest finds the service.
func (l listener) Addr() net.Addr { return &net.TCPAddr{IP: l.n.metadata.AsSlice(), Port: httpPort} }
