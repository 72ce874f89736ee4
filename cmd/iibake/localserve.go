package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/test/localcloud"
	"github.com/iibake/iibake/test/localcloud/daemon"
)

// serveCloud is the cloud, until a signal ends it.
func serveCloud(con *console, c *cli.Context, dir string, s settings) (err error) {
	ctx := c.Context
	cloud, listener, err := openCloud(con, c, dir, s)
	if err != nil {
		return report(ctx, err)
	}
	endpoint := endpointOf(listener.Addr())
	started := daemon.Started()
	withdraw, err := daemon.Announce(dir, endpoint, s)
	if err != nil {
		return report(ctx, errors.Join(err, listener.Close(), cloud.Close()))
	}
	defer func() { err = errors.Join(err, cloud.Close(), withdraw()) }()
	if s.Expose {
		_, _ = fmt.Fprintf(con.err, "warning: other hosts reach %s: whoever does may run machines here\n", endpoint)
	}
	if err := daemon.TellStarter(daemon.Report{Endpoint: endpoint}); err != nil {
		return errors.Join(err, listener.Close())
	}
	if !started {
		if err := con.printf("%s\n", endpoint); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	return cloud.Serve(ctx, listener)
}

// endpointOf returns the address that this host reaches a listener by.
func endpointOf(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		a = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
	}
	return "http://" + a.String()
}

// openCloud takes the port first, and then makes the cloud.
func openCloud(con *console, c *cli.Context, dir string, s settings) (*localcloud.Cloud, net.Listener, error) {
	config, err := s.config(con, dir)
	if err != nil {
		return nil, nil, err
	}
	listener, err := listen(c.Context, s.Address, s.Port)
	if err != nil {
		return nil, nil, err
	}
	cloud, err := localcloud.New(config)
	if err != nil {
		return nil, nil, errors.Join(withCloudHint(err, s.asMade(dir)), listener.Close())
	}
	return cloud, listener, nil
}

func listen(ctx context.Context, address string, port int) (net.Listener, error) {
	var l net.ListenConfig
	listener, err := l.Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, withHint(fmt.Errorf("port %d of %s is taken by another program", port, address), "choose another one with --port; --port 0 takes any")
	}
	return listener, err
}

// withCloudHint says what to do about a cloud that cannot go on. The command asMade starts the one that is there.
func withCloudHint(err error, asMade string) error {
	switch {
	case errors.Is(err, localcloud.ErrInUse):
		return withHint(err, "another cloud is up there: choose another folder with --state")
	case errors.Is(err, localcloud.ErrVersion), errors.Is(err, localcloud.ErrDamaged):
		return withHint(err, "iibake local reset empties the folder; --state chooses another one")
	case errors.Is(err, localcloud.ErrOtherCloud):
		return withHint(err, "start it as it was made: "+asMade+"; or empty it with iibake local reset, or choose another folder with --state")
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return withHint(err, "choose a folder that you may write to with --state")
	}
	return err
}

// asMade is the command that starts the cloud of a folder with what it was made with, and else as s says.
func (s settings) asMade(dir string) string {
	command := "iibake local up"
	if localcloud.IsSimulated(dir) {
		command += " --simulate"
		if s.Speed != "1" {
			command += " --speed " + s.Speed
		}
	}
	if s.Port != defaultPort {
		command += " --port " + strconv.Itoa(s.Port)
	}
	if usual, err := usualState(); err != nil || dir != usual {
		command += " --state " + dir
	}
	return command
}

func (s settings) config(con *console, dir string) (localcloud.Config, error) {
	memory, errMemory := s.memory()
	speed, errSpeed := s.speed()
	scenario, errScenario := readDocument(s.Scenario)
	faults, errFaults := readDocument(s.Faults)
	return localcloud.Config{
		Dir: dir, Blocks: s.Store, Simulate: s.Simulate, Speed: speed, Seed: s.Seed, Scenario: scenario, Faults: faults,
		MaxInstances: s.MaxInstances, Memory: memory, Version: readVersion().Version,
		Log: slog.New(slog.NewTextHandler(con.err, nil)),
	}, errors.Join(errMemory, errSpeed, errScenario, errFaults)
}

func readDocument(name string) (d localcloud.Document, err error) {
	if name != "" {
		d.Name = name
		d.Text, err = os.ReadFile(name)
	}
	return d, err
}

// projectStore returns the block store of the project that the command is used in, or nothing where there is none, or none that this
// user may write to.
func projectStore(c *cli.Context) string {
	p, err := loadSettings(c.String("dir"))
	if err != nil {
		return ""
	}
	r, err := recordOf(c, p)
	if err != nil || r.prepare() != nil {
		return ""
	}
	if unix.Access(r.storeDir, unix.W_OK|unix.X_OK) != nil && unix.Access(filepath.Dir(r.storeDir), unix.W_OK|unix.X_OK) != nil {
		return ""
	}
	return r.storeDir
}
