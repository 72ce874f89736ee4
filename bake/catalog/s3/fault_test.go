package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
)

// act is a change that a test makes, and what its key then holds.
type act struct {
	key        string
	do         func(context.Context, catalog.Catalog) error
	before, on string // "" stands for nothing
}

func acts() []act {
	put := func(key, body string) act {
		return act{key, func(ctx context.Context, c catalog.Catalog) error { return c.Put(ctx, key, []byte(body)) }, "", body}
	}
	swap := func(old, next string) act {
		return act{"heads/x", func(ctx context.Context, c catalog.Catalog) error {
			return c.Swap(ctx, "heads/x", some(old), some(next))
		}, old, next}
	}
	return []act{put("a", "1"), swap("", "v1"), swap("v1", "v2"), put("b", "2"), swap("v2", ""), swap("", "v1")}
}

func some(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// play makes the changes one after the other until one fails, and returns how many were made, and the error.
func play(ctx context.Context, c catalog.Catalog) (int, error) {
	for i, a := range acts() {
		if err := a.do(ctx, c); err != nil {
			return i, err
		}
	}
	return len(acts()), nil
}

// TestFaultAtEveryCall has each call of a run fail, be refused and lose its answer once: nobody sees any of it.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	calls := countCalls(t)
	for kind, what := range map[string]fate{"fails": fails, "refused": refused, "lost": lost} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for n := 1; n <= calls; n++ {
				c := w.openAt(fmt.Sprint("s3://bucket/", kind, n), w.line(func(i int, _ *http.Request) fate {
					if i == n {
						return what
					}
					return arrives
				}))
				if made, err := play(t.Context(), c); err != nil {
					t.Fatalf("call %d: change %d: %v", n, made, err)
				}
				w.wantPlayed(c, len(acts()), false)
			}
		})
	}
}

// TestDeathAtEveryCall has a process die before and after each of its calls: another one goes on.
func TestDeathAtEveryCall(t *testing.T) {
	t.Parallel()
	calls := countCalls(t)
	for kind, last := range map[string]fate{"before": fails, "after": lost} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for n := 1; n <= calls; n++ {
				address := fmt.Sprint("s3://bucket/", kind, n)
				dying := w.openAt(address, w.line(func(i int, _ *http.Request) fate {
					switch {
					case i < n:
						return arrives
					case i == n:
						return last
					}
					return fails
				}))
				made, err := play(t.Context(), dying)
				if err == nil && made < len(acts()) {
					t.Fatalf("call %d: no error", n)
				}
				next := w.openAt(address, nil)
				wantProblems(t, next)
				must(t, next.Put(t.Context(), "after", []byte("x")))
				w.wantPlayed(next, made, made < len(acts()))
				if t.Failed() {
					t.Fatalf("death %s call %d, after %d changes", kind, n, made)
				}
			}
		})
	}
}

func countCalls(t *testing.T) int {
	t.Helper()
	w := newWorld(t)
	l := w.line(nil)
	_, err := play(t.Context(), w.open(l))
	must(t, err)
	return l.count()
}

func (w *world) openAt(address string, through http.RoundTripper) *s3.Catalog {
	w.Helper()
	c, err := s3.New(w.config(through), address)
	must(w, err)
	return c
}

// wantPlayed wants the first changes made, and no others but, where one more may have been, the next. Whoever does them all again comes to the end.
func (w *world) wantPlayed(c catalog.Catalog, made int, oneMore bool) {
	w.Helper()
	state := func(n int) map[string]string {
		held := map[string]string{}
		for _, a := range acts()[:n] {
			held[a.key] = a.on
		}
		return held
	}
	fits := []map[string]string{state(made)}
	if oneMore {
		fits = append(fits, state(made+1))
	}
	held := map[string]string{}
	for _, key := range []string{"a", "b", "heads/x"} {
		body, err := c.Get(w.Context(), key)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			w.Fatal(err)
		}
		held[key] = string(body)
	}
	ok := slices.ContainsFunc(fits, func(want map[string]string) bool {
		return held["a"] == want["a"] && held["b"] == want["b"] && held["heads/x"] == want["heads/x"]
	})
	if !ok {
		w.Errorf("it holds %q, want one of %q", held, fits)
	}
	wantProblems(w, c)
}

// TestLateWriter has a writer fall asleep before it puts a value in place. Others have done so for it, and moved the head on and back.
func TestLateWriter(t *testing.T) {
	t.Parallel()
	for name, back := range map[string][]string{"to a value": {"v1", "v2", "v3", "v1"}, "to nothing": {"", "v2", ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if back[0] != "" {
				must(t, w.open(nil).Swap(t.Context(), "heads/x", nil, some(back[0])))
			}
			asleep, woken := make(chan struct{}), make(chan struct{})
			late := w.open(w.line(func(_ int, r *http.Request) fate {
				if r.Method == http.MethodPut && r.URL.Path == "/bucket/some/prefix/data/heads/x" {
					close(asleep)
					<-woken
				}
				return arrives
			}))
			ended := make(chan error)
			go func() { ended <- late.Swap(t.Context(), "heads/x", some(back[0]), some(back[1])) }()
			<-asleep
			other := w.open(nil)
			must(t, other.Put(t.Context(), "something", nil)) // which completes what the late one has begun
			for i := 1; i+1 < len(back); i++ {
				must(t, other.Swap(t.Context(), "heads/x", some(back[i]), some(back[i+1])))
			}
			close(woken)
			must(t, <-ended) // its change was made, and others after it
			got, err := other.Get(t.Context(), "heads/x")
			if string(got) != back[len(back)-1] || err != nil && !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("it holds %q, %v", got, err)
			}
			wantProblems(t, other)
		})
	}
}

// TestWaitingEnds cancels a change whose call hangs, and one that waits behind it.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reached, woken := make(chan struct{}), make(chan struct{})
	c := w.open(w.line(func(n int, _ *http.Request) fate {
		if n == 1 {
			close(reached)
			<-woken
		}
		return arrives
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Put(ctx, "a", nil) }()
	<-reached
	go func() { ended <- c.Put(ctx, "b", nil) }()
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	close(woken)
	must(t, c.Put(t.Context(), "c", nil)) // behind the first one, which goes on
	keys, err := c.List(t.Context(), "")
	must(t, err)
	if !slices.Equal(keys, []string{"a", "c"}) {
		t.Errorf("got %q", keys)
	}
	wantProblems(t, c)
}
