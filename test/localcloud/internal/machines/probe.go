package machines

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// Dial connects to a TCP port of a running instance, whether or not its security groups open it.
func (d *Driver) Dial(ctx context.Context, id string, port int) (net.Conn, error) {
	var p *power
	if in := d.find(id); in != nil {
		p = in.powered()
	}
	if p == nil {
		return nil, fmt.Errorf("%s: %w", id, errOff)
	}
	return p.network.Dial(ctx, port)
}

// Probe asks an instance whether it is well, from inside of its subnet as a load balancer is: see compute.Driver.
func (d *Driver) Probe(id string, c compute.Check, done func(ok bool, reason string)) {
	d.background(func() {
		ctx, cancel := context.WithTimeout(d.ctx, c.Timeout)
		defer cancel()
		err := d.probe(ctx, id, c)
		if err == nil {
			done(true, "")
			return
		}
		var code codeError
		switch {
		case errors.As(err, &code):
			done(false, code.Error())
		case ctx.Err() != nil:
			done(false, "Request timed out")
		default:
			done(false, "Health checks failed")
		}
	})
}

// codeError is an HTTP status that does not count as well.
type codeError int

// Error returns what Elastic Load Balancing says.
func (e codeError) Error() string {
	return fmt.Sprintf("Health checks failed with these codes: [%d]", int(e))
}

func (d *Driver) probe(ctx context.Context, id string, c compute.Check) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.Dial(ctx, id, c.Port) }
	scheme := strings.ToLower(c.Protocol)
	if scheme != "http" && scheme != "https" {
		conn, err := dial(ctx, "", "")
		if err != nil {
			return err
		}
		return conn.Close()
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext: dial, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // load balancers do not look at a target's certificate
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	host := net.JoinHostPort(d.addressOf(id), strconv.Itoa(c.Port))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+"/"+strings.TrimPrefix(c.Path, "/"), nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if !matches(c.Codes, answer.StatusCode) {
		return codeError(answer.StatusCode)
	}
	return nil
}

func (d *Driver) addressOf(id string) string {
	if in := d.find(id); in != nil {
		return in.current().Addresses.Private
	}
	return "127.0.0.1"
}

// matches reports whether a status is in a list such as 200,301 or 200-299. An empty one is 200.
func matches(codes string, status int) bool {
	if codes == "" {
		codes = "200"
	}
	for part := range strings.SplitSeq(codes, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, errFrom := strconv.Atoi(low)
		to, errTo := strconv.Atoi(high)
		if errFrom == nil && errTo == nil && status >= from && status <= to {
			return true
		}
	}
	return false
}
