package promote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	defaultProbeTimeout = 10 * time.Second
	defaultProbeTries   = 3
	probeBody           = 1 << 20 // bytes of an answer that are searched
	probeTail           = 300     // bytes of an answer or an output that an error quotes
)

// Ask makes one try of the probe of fleet m, within its timeout, and returns why the fleet is not well. A command learns of the
// fleet from the environment: IIBAKE_FLEET, IIBAKE_GROUP and IIBAKE_TARGET.
func (p Probe) Ask(ctx context.Context, m Member) error {
	timeout := cmp.Or(time.Duration(p.Timeout), defaultProbeTimeout)
	within, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	var err error
	if len(p.Command) > 0 {
		err = askCommand(within, m, p.Command)
	} else {
		err = askHTTP(within, p)
	}
	if err != nil && ctx.Err() == nil && within.Err() != nil {
		return context.Cause(within)
	}
	return err
}

// String names the probe as people know it.
func (p Probe) String() string {
	if len(p.Command) > 0 {
		return strings.Join(p.Command, " ")
	}
	return p.HTTP
}

func (p Probe) tries() int { return cmp.Or(p.Tries, defaultProbeTries) }

// askHTTP opens a connection of its own: one that is kept alive would go on to ask the instance that is to be replaced.
func askHTTP(ctx context.Context, p Probe) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.HTTP, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "iibake")
	client := http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, probeBody))
	err = errors.Join(err, res.Body.Close())
	want := cmp.Or(p.Status, http.StatusOK)
	switch {
	case res.StatusCode != want:
		return fmt.Errorf("status %d, not %d%s", res.StatusCode, want, joined(": ", tail(body)))
	case err != nil:
		return err
	case p.Contains != "" && !bytes.Contains(body, []byte(p.Contains)):
		return fmt.Errorf("the answer does not contain %q%s", p.Contains, joined(": ", tail(body)))
	}
	return nil
}

func askCommand(ctx context.Context, m Member, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "IIBAKE_FLEET="+m.Name, "IIBAKE_GROUP="+m.Group, "IIBAKE_TARGET="+m.Target)
	cmd.WaitDelay = time.Second // a child of the command may keep its output open
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w%s", err, joined(": ", tail(out)))
	}
	return nil
}

// tail returns the end of what was printed, in one line.
func tail(out []byte) string {
	out = bytes.TrimSpace(out)
	if len(out) > probeTail {
		out = out[len(out)-probeTail:]
	}
	return strings.ToValidUTF8(strings.Join(strings.Fields(string(out)), " "), "?")
}
