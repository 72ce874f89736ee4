// Package localcloud is a small AWS on this machine: the wire protocols of EC2, EBS direct, Auto Scaling, Elastic Load Balancing,
// CloudWatch, Systems Manager, STS and S3 on one port, in front of real QEMU machines or of a simulation of them.
//
// Code that talks to AWS talks to it without a change, by its endpoint only. A simulated cloud has a clock of its own that tests
// move, fails when it is told to, and can be asked what a run left behind.
package localcloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iibake/iibake/test/localcloud/admin"
)

// Fast is the Speed of a clock that goes from event to event without waiting.
const Fast = math.MaxFloat64

// ErrSimulatedOnly is wrapped when a cloud of real machines is asked for what only a simulation can do.
var ErrSimulatedOnly = errors.New("only a simulated cloud can do this")

// closeLimit bounds the wait for requests in flight when a server ends.
const closeLimit = 5 * time.Second

// Cloud is a cloud that runs, from New until Close. It is safe for concurrent use.
type Cloud struct {
	config  Config
	started time.Time
	cleanUp func() error
	handler http.Handler

	mu     sync.Mutex // held while the engine is replaced
	engine atomic.Pointer[engine]
}

// New makes a cloud, or goes on with the one whose state is in c.Dir. It answers by Serve and Client, and must be closed.
func New(c Config) (*Cloud, error) {
	c, cleanUp, err := c.complete()
	if err != nil {
		return nil, err
	}
	cloud := &Cloud{config: c, started: time.Now().UTC(), cleanUp: cleanUp}
	e, err := startEngine(c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("local cloud: %w", err), cleanUp())
	}
	cloud.engine.Store(e)
	cloud.handler = cloud.routes()
	return cloud, nil
}

// Serve answers on l until ctx is done, and closes l. Requests in flight then have a moment to end.
func (c *Cloud) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: c.handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(c.config.Log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the local cloud: %w", err)
	case <-ctx.Done():
	}
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	if s.Shutdown(patient) != nil {
		_ = s.Close() // hanging requests are what faults are for
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the local cloud: %w", err)
	}
	return nil
}

// Client returns a client that reaches the cloud, whatever host it asks for, without a socket.
func (c *Cloud) Client() *http.Client { return &http.Client{Transport: inProcess{c.handler}} }

// Advance moves the clock of a simulated cloud on, with all that happens meanwhile.
func (c *Cloud) Advance(d time.Duration) error {
	e := c.engine.Load()
	if e == nil {
		return errClosed
	}
	if e.virtual == nil {
		return fmt.Errorf("advance the clock: %w", ErrSimulatedOnly)
	}
	e.virtual.Advance(d)
	return nil
}

// Now returns what the cloud's clock shows.
func (c *Cloud) Now() time.Time {
	if e := c.engine.Load(); e != nil {
		return e.store.Clock().Now()
	}
	return time.Time{}
}

// Leaked returns everything that exists and that somebody has made: what a run has left behind, where there was nothing before. It is
// sorted. Terminated instances and deregistered images do not count, nor does what every account has from the start.
func (c *Cloud) Leaked() []admin.Resource {
	if e := c.engine.Load(); e != nil {
		return e.leaked()
	}
	return nil
}

// Reset ends every machine and forgets everything, settings apart.
func (c *Cloud) Reset() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.engine.Swap(nil)
	if e == nil {
		return errClosed
	}
	if err := errors.Join(e.release(), e.close(), c.config.forget()); err != nil {
		return fmt.Errorf("reset the local cloud: %w", err)
	}
	e, err := startEngine(c.config)
	if err != nil {
		return fmt.Errorf("reset the local cloud: %w", err)
	}
	c.engine.Store(e)
	return nil
}

// Close ends the machines, keeps the state where it has a folder, and gives everything else up. Requests that come later are refused.
func (c *Cloud) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.engine.Swap(nil)
	if e == nil {
		return nil
	}
	return errors.Join(e.close(), c.cleanUp())
}

var errClosed = errors.New("the local cloud is closed")
