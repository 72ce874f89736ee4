package test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
)

const (
	probePause = 250 * time.Millisecond // between tries
	probeTry   = 10 * time.Second       // limit of one
	probeBody  = 1 << 20                // bytes of an answer that are looked at
)

// probe is a check from outside the machine that is tried again until it succeeds or its time is over.
type probe struct {
	name    string
	timeout bake.Duration
	try     func(ctx context.Context) error
}

// probes returns the probes of a template, for its machine.
func (t *trial) probes() []probe {
	var all []probe
	for _, h := range t.tests.HTTP {
		all = append(all, httpProbe(h, t.machine.Addr(h.Port)))
	}
	for _, p := range t.tests.TCP {
		all = append(all, probe{
			name: fmt.Sprintf("tcp :%d", p.Port), timeout: p.Timeout,
			try: func(ctx context.Context) error { return t.machine.Connect(ctx, p.Port) },
		})
	}
	return all
}

func (p probe) run(ctx context.Context, task *bake.Task) Result {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.timeout))
	defer cancel()
	err := p.keepTrying(ctx)
	r := Result{Name: p.name, Status: Pass, Took: bake.Duration(task.Elapsed())}
	if err != nil {
		r.Status, r.Detail = Fail, fmt.Sprintf("%v (tried for %s)", err, time.Duration(r.Took).Round(time.Second))
	}
	_ = task.End(err)
	return r
}

func (p probe) keepTrying(ctx context.Context) error {
	last := context.Cause(ctx)
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, probeTry)
		err := p.try(try)
		cancel()
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // what a try says that was cut off is no news
			last = err
		}
		select {
		case <-ctx.Done():
		case <-time.After(probePause):
		}
	}
	return last
}

func httpProbe(h bake.HTTPProbe, addr string) probe {
	scheme := "http"
	if h.TLS {
		scheme = "https"
	}
	client := &http.Client{
		// The answer itself is judged: a redirect leads to a name that this machine does not have.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as documented: no test machine has a certificate
		},
	}
	return probe{
		name: fmt.Sprintf("%s :%d%s", scheme, h.Port, h.Path), timeout: h.Timeout,
		try: func(ctx context.Context) error {
			return request(ctx, client, scheme+"://"+addr+h.Path, h)
		},
	}
}

func request(ctx context.Context, client *http.Client, url string, h bake.HTTPProbe) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "iibake")
	resp, err := client.Do(req)
	if err != nil {
		return errors.Unwrap(err) // without the address: it is one of this host
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, probeBody))
	switch {
	case resp.StatusCode != h.Status:
		return fmt.Errorf("the answer has status %s, want %d", resp.Status, h.Status)
	case strings.Contains(string(body), h.Contains):
		return nil
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	}
	return fmt.Errorf("the answer does not contain %q", h.Contains)
}
