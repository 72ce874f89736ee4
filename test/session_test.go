package test_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test"
)

// guest is what a machine does when it is told to make its checks; it returns the exit status.
type guest func(in io.Reader, out, stderr io.Writer) uint32

// connect returns a connection to an SSH server that runs g whatever it is asked to run. Without g it answers nothing any more.
func connect(t *testing.T, g guest) *ssh.Client {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ours, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	go answer(theirs, signer, g)
	c, channels, requests, err := ssh.NewClientConn(ours, "guest", &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	client := ssh.NewClient(c, channels, requests)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func answer(conn net.Conn, key ssh.Signer, g guest) {
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(key)
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	if g == nil {
		return
	}
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			_ = r.Reply(true, nil)
			if r.Type != "exec" {
				continue
			}
			go func() {
				status := g(channel, channel, channel.Stderr())
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
				_ = channel.Close()
			}()
		}
	}
}

// events collects what is reported, tasks and their ends.
type events struct {
	mu  sync.Mutex
	all []string
}

func (e *events) Report(v bake.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, strings.TrimSpace(fmt.Sprintf("%s %s %s", v.Kind, v.Task, v.Text)))
}

func inGuest(t *testing.T, g guest, tests bake.Tests) ([]test.Result, []string) {
	t.Helper()
	if tests.Timeout == 0 {
		tests.Timeout = bake.Duration(time.Minute)
	}
	var e events
	return test.InGuest(t.Context(), connect(t, g), tests, map[string][]byte{"a.yaml": []byte("file: {/proc: {exists: true}}")}, &e), e.all
}

func find(results []test.Result, name string) test.Result {
	if i := slices.IndexFunc(results, func(r test.Result) bool { return r.Name == name }); i >= 0 {
		return results[i]
	}
	return test.Result{}
}

// Both ends of the conversation are real; only the machine between them is this one.
func TestConversation(t *testing.T) {
	t.Setenv("PATH", systemctl(t, "echo running"))
	results, told := inGuest(t, func(in io.Reader, out, _ io.Writer) uint32 {
		_, _ = fmt.Fprintln(out, "a library prints to standard output")
		if err := test.GuestMain(context.Background(), in, out); err != nil {
			return 1
		}
		return 0
	}, bake.Tests{Goss: "a.yaml"})
	for _, name := range []string{"systemd", "goss: File /proc: exists"} {
		if r := find(results, name); r.Status != test.Pass || r.Boot != "bios" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	want := []string{"start test bios: systemd", "done test bios: systemd", "start test bios: goss", "done test bios: goss"}
	if !slices.Equal(told, want) {
		t.Errorf("reported %q, want %q", told, want)
	}
	settled := slices.IndexFunc(results, func(r test.Result) bool { return r.Boot == "settled" })
	if results[0].Name != "systemd" || settled != 1 {
		t.Errorf("probes may start after result %d of %+v", settled, results)
	}
}

func TestCheckThatHangsIsNamed(t *testing.T) {
	ctx, late := context.WithCancel(t.Context())
	defer late()
	var e events
	report := bake.ReporterFunc(func(v bake.Event) {
		if e.Report(v); v.Kind == bake.EventStart && strings.HasSuffix(v.Task, "goss") {
			late()
		}
	})
	client := connect(t, func(in io.Reader, out, _ io.Writer) uint32 {
		_, _ = fmt.Fprintln(out, `{"begin":"systemd"}`+"\n"+`{"result":{"name":"systemd","status":"pass"}}`+"\n"+`{"end":"systemd"}`+"\n"+`{"begin":"goss"}`)
		_, _ = io.Copy(io.Discard, in) // until the connection ends
		return 0
	})
	results := test.InGuest(ctx, client, bake.Tests{Timeout: bake.Duration(time.Hour)}, nil, report)
	told := e.all
	if r := find(results, "goss"); r.Status != test.Fail || r.Detail != "goss did not end within 1h" {
		t.Errorf("got %+v", results)
	}
	if r := find(results, "systemd"); r.Status != test.Pass {
		t.Errorf("got %+v", results)
	}
	if last := told[len(told)-1]; last != "fail test bios: goss did not end within 1h" {
		t.Errorf("reported %q", told)
	}
}

func TestRestart(t *testing.T) {
	shut := make(chan struct{})
	close(shut)
	refuse := func(_ io.Reader, _, stderr io.Writer) uint32 {
		_, _ = fmt.Fprintln(stderr, "sudo: a password is required")
		return 1
	}
	for name, c := range map[string]struct {
		guest       guest
		reset, gone chan struct{}
		want        string
	}{
		"a reboot":    {guest: refuse, reset: shut},
		"a power off": {guest: refuse, gone: shut, want: "powered off instead"},
		"a refusal":   {guest: refuse, want: "did not shut down for its reboot within 300ms"},
		"a hung one":  {want: "did not shut down for its reboot within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.Restart(t.Context(), connect(t, c.guest), 300*time.Millisecond, c.reset, c.gone)
			if (err == nil) != (c.want == "") || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestChecksThatCannotRun(t *testing.T) {
	results, _ := inGuest(t, func(_ io.Reader, _, stderr io.Writer) uint32 {
		_, _ = fmt.Fprintln(stderr, "sudo: \x1b[1mnot found\x1b[0m")
		return 127
	}, bake.Tests{})
	r := find(results, "checks inside the machine")
	if r.Status != test.Fail || !strings.Contains(r.Detail, "ended early: Process exited with status 127: sudo: not found") {
		t.Errorf("got %+v", results)
	}
	if r := find(results, "goss"); r.Status != test.Skip {
		t.Errorf("got %+v", r)
	}
}

func TestFailuresAreCounted(t *testing.T) {
	_, told := inGuest(t, func(_ io.Reader, out, _ io.Writer) uint32 {
		_, _ = fmt.Fprintln(out, `{"begin":"goss"}`+"\n"+`{"result":{"name":"a","status":"fail"}}`+"\n"+`{"result":{"name":"b","status":"pass"}}`+"\n"+`{"end":"goss"}`)
		return 0
	}, bake.Tests{})
	if want := []string{"start test bios: goss", "fail test bios: goss 1 of 2 failed"}; !slices.Equal(told, want) {
		t.Errorf("reported %q, want %q", told, want)
	}
}

func TestConsoleLog(t *testing.T) {
	var e events
	w := test.ConsoleLog(bake.StartTask(&e, "web", "boot", nil))
	for _, piece := range []string{"on", "e\r\n\r\n\x1b[3", "2mtwo\x1b[0m\nth", "ree", strings.Repeat("x", 5000)} {
		if n, err := io.WriteString(w, piece); n != len(piece) || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
	}
	if want := []string{"start boot", "log boot one", "log boot two", "log boot three" + strings.Repeat("x", 5000)}; !slices.Equal(e.all, want) {
		t.Errorf("reported %q", e.all)
	}
}
