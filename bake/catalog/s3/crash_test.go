package s3_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
)

// childEnv names the catalog that this test binary works on until it is killed.
const childEnv = "IIBAKE_TEST_S3_CATALOG"

func TestMain(m *testing.M) {
	if address := os.Getenv(childEnv); address != "" {
		fmt.Fprintln(os.Stderr, work(context.Background(), address))
		return
	}
	m.Run()
}

// work counts up for ever and writes down what is done: a number once its record is put and the head has moved to it.
func work(ctx context.Context, address string) error {
	c, err := s3.Open(ctx, address)
	if err != nil {
		return err
	}
	for {
		n, err := count(ctx, c)
		if err != nil {
			return err
		}
		if err := c.Put(ctx, fmt.Sprintf("counts/%d/%d", n, os.Getpid()), []byte(strconv.Itoa(n))); err != nil {
			return err
		}
		if err := c.Swap(ctx, "heads/flicker", nil, []byte("x")); err == nil {
			err = c.Swap(ctx, "heads/flicker", []byte("x"), nil)
			if err != nil && !errors.Is(err, catalog.ErrMoved) {
				return err
			}
		}
		if _, err := fmt.Fprintln(os.Stdout, n, os.Getpid()); err != nil {
			return err
		}
	}
}

func count(ctx context.Context, c catalog.Catalog) (int, error) {
	for {
		old, err := c.Get(ctx, "heads/count")
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return 0, err
		}
		n, _ := strconv.Atoi(string(old))
		if err := c.Swap(ctx, "heads/count", old, []byte(strconv.Itoa(n+1))); !errors.Is(err, catalog.ErrMoved) {
			return n + 1, err
		}
	}
}

// TestKilled has two processes contend, whose settings come from the environment, and kills both, again and again: what they had done is there, nothing
// is half done, and a number was given to one of them only.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	endpoint := w.serve()
	c := w.open(nil)
	given := map[string]string{} // by number, who got it
	for range 4 {
		first, second := startWorker(t, endpoint), startWorker(t, endpoint)
		for pid, lines := range map[string][]string{first.pid(): first.killAfter(t, 3+rand.N(5)), second.pid(): second.killAfter(t, 1+rand.N(5))} {
			for _, n := range lines {
				if given[n] != "" {
					t.Errorf("%s was given to %s and to %s", n, given[n], pid)
				}
				given[n] = pid
				wantHeld(t, c, "counts/"+n+"/"+pid, n)
			}
		}
		wantProblems(t, c)
	}
}

// serve answers on a socket until the test ends, and returns the address.
func (w *world) serve() string {
	w.Helper()
	l, err := (&net.ListenConfig{}).Listen(w.Context(), "tcp", "127.0.0.1:0")
	must(w, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.cloud.Serve(ctx, l) }()
	w.Cleanup(func() {
		cancel()
		must(w, <-ended)
	})
	return "http://" + l.Addr().String()
}

type worker struct {
	*exec.Cmd
	out *bufio.Scanner
}

func startWorker(t *testing.T, endpoint string) worker {
	t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:noctx // it is killed
	cmd.Env = []string{
		childEnv + "=" + address, "AWS_ENDPOINT_URL_S3=" + endpoint, "AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=" + account, "AWS_SECRET_ACCESS_KEY=x",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return worker{cmd, bufio.NewScanner(out)}
}

func (w worker) pid() string { return strconv.Itoa(w.Process.Pid) }

// killAfter kills the worker a moment after it has written some lines, and returns all numbers that it wrote.
func (w worker) killAfter(t *testing.T, lines int) []string {
	t.Helper()
	var numbers []string
	for w.out.Scan() {
		n, _, _ := strings.Cut(w.out.Text(), " ")
		numbers = append(numbers, n)
		if len(numbers) == lines {
			time.AfterFunc(rand.N(5*time.Millisecond), func() { _ = w.Process.Kill() })
		}
	}
	if len(numbers) < lines {
		t.Errorf("it ended after %d lines", len(numbers))
	}
	_ = w.Wait()
	return numbers
}
