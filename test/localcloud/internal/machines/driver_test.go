package machines_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/vnet/vnettest"
)

var _ compute.Driver = (*machines.Driver)(nil)

// shows waits until the console of i-1 shows a text.
func shows(t *testing.T, d *machines.Driver, text string) {
	t.Helper()
	until(t, "the console shows "+text, func() bool { return bytes.Contains(d.Console("i-1"), []byte(text)) })
}

// dial connects to a port of this host.
func dial(t *testing.T, address, port string) (net.Conn, error) {
	t.Helper()
	var d net.Dialer
	return d.DialContext(t.Context(), "tcp", net.JoinHostPort(address, port))
}

const never = time.Hour

// quick makes a driver press, and give up, at once.
func quick(d *machines.Driver) {
	d.SetPace(10*time.Millisecond, never, never, 10*time.Millisecond, 100*time.Millisecond)
}

func TestLife(t *testing.T) {
	s := blocks(t)
	root := biosDisk(t, s, say("up "), onButton(), powerOff())
	dir := t.TempDir()
	d, seen := driver(t, machines.Config{Blocks: s, Dir: dir})
	quick(d)
	d.Start(small("i-1", root))
	d.Start(small("i-1", root)) // makes no sense
	a := seen.running(t, "i-1")
	if ip := net.ParseIP(a.Private); !ip.IsLoopback() || a.Public != a.Private || a.Private == "127.0.0.1" {
		t.Errorf("%+v", a)
	}
	shows(t, d, "up")
	d.Reboot("i-1")
	shows(t, d, "up up")
	if next[compute.Addresses](t, seen, "i-1") != a {
		t.Error("it has another address after a reboot")
	}
	d.Stop("i-1", false)
	if e := seen.ended(t, "i-1"); e != (compute.Ending{}) {
		t.Errorf("stopped: %+v", e)
	}
	d.Stop("i-1", true) // neither
	d.Reboot("i-1")
	d.Start(small("i-1", root))
	if seen.running(t, "i-1") != a {
		t.Error("it has another address after a stop")
	}
	d.Terminate("i-1")
	if e := seen.ended(t, "i-1"); e != (compute.Ending{}) {
		t.Errorf("terminated: %+v", e)
	}
	if !bytes.Contains(d.Console("i-1"), []byte("up up")) || d.Console("i-2") != nil {
		t.Error("the console is lost, or somebody else's")
	}
	if left, err := os.ReadDir(filepath.Join(dir, "instances")); err != nil || len(left) > 0 || d.Known() != 0 {
		t.Errorf("left: %v, %v, %d instances", left, err, d.Known())
	}
	if rest := seen.rest(); len(rest) > 0 {
		t.Errorf("it was also told %+v", rest)
	}
}

func TestDeafGuest(t *testing.T) {
	s := blocks(t)
	root := biosDisk(t, s, say("up "), hang())
	d, seen := driver(t, machines.Config{Blocks: s})
	d.SetPace(time.Millisecond, 50*time.Millisecond, never, never, never)
	d.Start(small("i-1", root))
	seen.running(t, "i-1")
	shows(t, d, "up ") // all of it: a reset in its midst would run both together
	d.Reboot("i-1")    // as hard as it takes
	seen.running(t, "i-1")
	shows(t, d, "up up")
	d.Stop("i-1", false)
	if e := seen.ended(t, "i-1"); e != (compute.Ending{}) {
		t.Errorf("stopped: %+v", e)
	}
	quick(d) // it would wait for ever
	d.Start(small("i-1", root))
	seen.running(t, "i-1")
	d.Stop("i-1", false)
	d.Stop("i-1", true)
	if e := seen.ended(t, "i-1"); e != (compute.Ending{}) {
		t.Errorf("stopped by force: %+v", e)
	}
	d.Start(small("i-1", root))
	seen.running(t, "i-1")
	d.Stop("i-1", false)
	d.Start(small("i-1", root)) // waits for the end, which Terminate does not
	d.Terminate("i-1")
	seen.ended(t, "i-1")
}

func TestEndsByThemselves(t *testing.T) {
	s := blocks(t)
	d, seen := driver(t, machines.Config{Blocks: s})
	d.Start(small("i-1", biosDisk(t, s, powerOff())))
	seen.running(t, "i-1")
	if e := seen.ended(t, "i-1"); e != (compute.Ending{}) {
		t.Errorf("the guest powered off: %+v", e)
	}
	d.Start(small("i-2", biosDisk(t, s, hang())))
	seen.running(t, "i-2")
	d.Fail("i-2")
	if e := seen.ended(t, "i-2"); e.Code != "Server.InternalError" || !strings.Contains(e.Message, "the machine failed") {
		t.Errorf("QEMU failed: %+v", e)
	}
	d.Terminate("i-2")
	seen.ended(t, "i-2")
	d.Terminate("i-3") // nobody knows it: neither its region
	until(t, "the third is forgotten", func() bool { return d.Known() == 1 })
}

func TestRefusals(t *testing.T) {
	s := blocks(t)
	root := biosDisk(t, s, hang())
	for name, c := range map[string]struct {
		config machines.Config
		change func(*compute.Spec)
		code   string
		want   string
	}{
		"memory":         {machines.Config{Memory: 150 * bake.MiB}, nil, "Server.InsufficientInstanceCapacity", "t3.nano needs 0.6 GiB of memory, but of the"},
		"one too many":   {machines.Config{MaxInstances: 1}, nil, "Server.InsufficientInstanceCapacity", "1 instances run, which is the most"},
		"unknown image":  {machines.Config{}, func(s *compute.Spec) { s.Disks[0].Disk = bake.DigestOf(nil) }, "Client.InvalidSnapshot.NotFound", "not in the store"},
		"without disks":  {machines.Config{}, func(s *compute.Spec) { s.Disks = nil }, "Server.InternalError", "the instance has none"},
		"path as volume": {machines.Config{}, func(s *compute.Spec) { s.Disks[0].Volume = "../x" }, "Server.InternalError", "invalid volume id"},
		"QEMU":           {machines.Config{}, func(s *compute.Spec) { s.Metadata.MAC = "?" }, "Server.InternalError", "qemu-system-x86_64: exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Blocks = s
			d, seen := driver(t, c.config)
			d.Start(small("i-1", root))
			if c.config.Memory == 0 {
				seen.running(t, "i-1")
			}
			bad := small("i-2", root)
			if c.change != nil {
				c.change(&bad)
			}
			d.Start(bad)
			id := map[bool]string{true: "i-1", false: "i-2"}[c.config.Memory > 0]
			if e := seen.ended(t, id); e.Code != c.code || !strings.Contains(e.Message, c.want) {
				t.Errorf("%+v", e)
			}
			d.Terminate("i-1")
			seen.ended(t, "i-1")
		})
	}
}

func TestFullHost(t *testing.T) {
	s := blocks(t)
	d, seen := driver(t, machines.Config{Blocks: s, InstanceMemory: 64 * bake.MiB})
	d.SetFree(833 * bake.MiB)
	big := small("i-1", biosDisk(t, s, hang()))
	big.Memory = 100 * bake.GiB // gets less
	d.Start(big)
	seen.running(t, "i-1")
	d.SetFree(831 * bake.MiB)
	d.Start(small("i-2", big.Disks[0].Disk))
	if e := seen.ended(t, "i-2"); e.Code != "Server.InsufficientInstanceCapacity" || !strings.Contains(e.Message, "only 0.8 GiB are free") {
		t.Errorf("%+v", e)
	}
}

// TestNetwork puts a guest with a network into the place of the one that has none.
func TestNetwork(t *testing.T) {
	s := blocks(t)
	d, seen := driver(t, machines.Config{Blocks: s, Ports: []int{4242}})
	d.SetPace(time.Second, never, time.Millisecond, 10*time.Millisecond, 10*time.Second)
	spec := small("i-1", biosDisk(t, s, hang()))
	d.Start(spec)
	address := seen.running(t, "i-1").Public
	seen.healthy(t, "i-1", false) // it does not use its network in time
	if c, err := dial(t, address, "8080"); err == nil {
		t.Error("somebody answers", c.Close())
	}
	g := vnettest.Boot(t, func(c net.Conn) { d.Plug("i-1", c) })
	g.Listen(t, 8080, func(c net.Conn) { _, _ = c.Write([]byte("hello\n")); _ = c.Close() })
	until(t, "the guest says something", func() bool { // the first frame makes it alive
		c, err := g.Dial(t.Context(), "169.254.169.254:80")
		return err == nil && c.Close() == nil
	})
	seen.healthy(t, "i-1", true)
	reads := func(port string) string {
		c, err := dial(t, address, port)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return "refused"
		}
		if err != nil {
			return "closed" // already
		}
		defer func() { _ = c.Close() }()
		b := make([]byte, 100)
		n, err := c.Read(b)
		if n == 0 && err != nil {
			return "closed"
		}
		return string(b[:n])
	}
	until(t, "the port answers", func() bool { return reads("8080") == "hello\n" })
	if got := reads("8081"); got != "closed" { // open, but nobody is there
		t.Error(got)
	}
	d.SetPorts("i-1", []compute.Port{{From: 0, To: 65535}})
	if got := reads("8080") + reads("4242") + reads("4243"); got != "hello\nclosedrefused" {
		t.Error(got)
	}
	d.SetPorts("i-1", nil)
	if got := reads("8080"); got != "refused" {
		t.Error(got)
	}
	m := spec.Metadata
	m.Tags = true
	d.SetMetadata("i-1", m, map[string]string{"Name": "new"})
	if got := body(t, g.Client(), "http://169.254.169.254/latest/meta-data/tags/instance/Name"); got != "new" {
		t.Error(got)
	}
	if got := body(t, g.Client(), "http://169.254.169.254/latest/meta-data/local-ipv4"); got != address {
		t.Error(got)
	}
	ours, theirs := net.Pipe() // the guest goes silent
	d.Plug("i-1", theirs)
	t.Cleanup(func() { _ = ours.Close() })
	d.SetPorts("i-9", nil)
	d.SetMetadata("i-9", m, nil)
}

func body(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	var b bytes.Buffer
	_, _ = b.ReadFrom(r.Body)
	return b.String()
}

func TestStatusComesAndGoes(t *testing.T) {
	s := blocks(t)
	d, seen := driver(t, machines.Config{Blocks: s})
	d.SetPace(time.Second, never, never, 10*time.Millisecond, 5*time.Second)
	d.Start(small("i-1", biosDisk(t, s, hang())))
	seen.running(t, "i-1")
	for range 2 {
		g := vnettest.Boot(t, func(c net.Conn) { d.Plug("i-1", c) })
		until(t, "the guest says something", func() bool {
			c, err := g.Dial(t.Context(), "169.254.169.254:80")
			return err == nil && c.Close() == nil
		})
		seen.healthy(t, "i-1", true)
		ours, theirs := net.Pipe() // its kernel panics: nobody answers
		t.Cleanup(func() { _ = ours.Close() })
		go func() { // it still takes what it is sent
			for b := make([]byte, 2000); ; {
				if _, err := ours.Read(b); err != nil {
					return
				}
			}
		}()
		d.Plug("i-1", theirs)
		seen.healthy(t, "i-1", false)
	}
}

func TestProbe(t *testing.T) {
	s := blocks(t)
	d, seen := driver(t, machines.Config{Blocks: s})
	d.Start(small("i-1", biosDisk(t, s, hang())))
	seen.running(t, "i-1")
	g := vnettest.Boot(t, func(c net.Conn) { d.Plug("i-1", c) })
	answer := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1000))
			_, _ = c.Write([]byte(text))
			_ = c.Close()
		}
	}
	g.Listen(t, 80, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	g.Listen(t, 81, answer("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"))
	g.Listen(t, 82, answer("what?"))
	g.Listen(t, 83, func(net.Conn) {})
	limit := 30 * time.Second
	for _, c := range []struct {
		check  compute.Check
		ok     bool
		reason string
	}{
		{compute.Check{Protocol: "TCP", Port: 80, Timeout: limit}, true, ""},
		{compute.Check{Protocol: "TCP", Port: 84, Timeout: limit}, false, "Health checks failed"},
		{compute.Check{Protocol: "HTTP", Port: 80, Path: "/", Timeout: limit}, true, ""},
		{compute.Check{Protocol: "HTTP", Port: 81, Path: "/a?b", Codes: "200,302", Timeout: limit}, true, ""},
		{compute.Check{Protocol: "HTTP", Port: 81, Timeout: limit}, false, "Health checks failed with these codes: [302]"},
		{compute.Check{Protocol: "HTTP", Port: 82, Timeout: limit}, false, "Health checks failed"},
		{compute.Check{Protocol: "HTTPS", Port: 82, Timeout: limit}, false, "Health checks failed"},
		{compute.Check{Protocol: "HTTP", Port: 83, Timeout: 100 * time.Millisecond}, false, "Request timed out"},
	} {
		probe(t, d, "i-1", c.check, c.ok, c.reason)
	}
	probe(t, d, "i-2", compute.Check{Protocol: "TCP", Port: 80, Timeout: limit}, false, "Health checks failed")
}

func TestSnapshot(t *testing.T) {
	s := blocks(t)
	d, seen := driver(t, machines.Config{Blocks: s})
	root := biosDisk(t, s, overwrite(), say("written"), hang())
	spec := small("i-1", root)
	spec.Disks[0].Size = 4 * bake.MiB
	spec.Disks = append(spec.Disks, compute.Disk{Device: "/dev/sdb", Volume: "vol-2", Size: 8 * bake.MiB})
	d.Start(spec)
	seen.running(t, "i-1")
	shows(t, d, "written")
	check := func() {
		t.Helper()
		got, err := d.Snapshot(t.Context(), "i-1", "/dev/xvda")
		if err != nil {
			t.Fatal(err)
		}
		before, _ := s.Manifest(t.Context(), root)
		after, err := s.Manifest(t.Context(), got)
		if err != nil || after.Size != 4<<20 || len(disk.Diff(before, after)) != 1 {
			t.Fatalf("%d bytes, %d blocks, %v", after.Size, len(disk.Diff(before, after)), err)
		}
		block := make([]byte, disk.BlockSize)
		if err := s.Block(t.Context(), after.Blocks[0].Digest, block); err != nil || !bytes.Equal(block[:512], block[512:1024]) {
			t.Errorf("the second sector is not the first, %v", err)
		}
		empty, err := d.Snapshot(t.Context(), "i-1", "/dev/sdb")
		if err != nil {
			t.Fatal(err)
		}
		if m, err := s.Manifest(t.Context(), empty); err != nil || m.Size != 8<<20 || len(m.Blocks) != 0 {
			t.Errorf("the empty disk: %+v, %v", m, err)
		}
	}
	check() // it runs
	d.Stop("i-1", true)
	seen.ended(t, "i-1")
	check()
	for id, device := range map[string]string{"i-1": "/dev/sdc", "i-2": "/dev/xvda"} {
		if got, err := d.Snapshot(t.Context(), id, device); !errors.Is(err, machines.ErrNoDisk) {
			t.Errorf("%s %v", got, err)
		}
	}
}
