// Package catalogtest checks that a backend of the catalog keeps the contract of [catalog.Catalog].
//
// It knows nothing about how a backend stores things, and runs unchanged on every one of them.
package catalogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
)

// Run checks a backend. Each call of storage makes new, empty storage, and each call of what it returns opens one more
// handle on that storage, as one more process would.
func Run(t *testing.T, storage func(t *testing.T) (open func() catalog.Catalog)) {
	t.Helper()
	for name, test := range map[string]func(suite){
		"Empty": testEmpty, "Put": testPut, "Swap": testSwap, "List": testList, "Keys": testKeys,
		"PrefixKeys": testPrefixKeys, "Bodies": testBodies, "Aliasing": testAliasing, "Cancelled": testCancelled,
		"Counter": testCounter, "OneWinner": testOneWinner, "Model": testModel,
	} {
		t.Run(name, func(t *testing.T) {
			s := suite{t, storage(t)}
			test(s)
			wantClean(s, s.open())
		})
	}
}

// suite is a test with storage of its own.
type suite struct {
	*testing.T
	open func() catalog.Catalog
}

func testEmpty(t suite) {
	c := t.open()
	wantAbsent(t, c, "images/web/1")
	wantAbsent(t, c, "heads/latest/web")
	wantKeys(t, c, "")
}

func testPut(t suite) {
	a, b := t.open(), t.open()
	must(t, a.Put(t.Context(), "images/web/1", []byte("one")))
	wantValue(t, a, "images/web/1", "one")
	wantValue(t, b, "images/web/1", "one")
	must(t, b.Put(t.Context(), "images/web/1", []byte("one")))
	wantErr(t, b.Put(t.Context(), "images/web/1", []byte("two")), catalog.ErrExists)
	wantErr(t, a.Put(t.Context(), "images/web/1", nil), catalog.ErrExists)
	wantValue(t, t.open(), "images/web/1", "one")
}

func testSwap(t suite) {
	const head = "heads/channels/web/candidate"
	a, b := t.open(), t.open()
	swap := func(c catalog.Catalog, old, next []byte) error { return c.Swap(t.Context(), head, old, next) }
	wantErr(t, swap(a, []byte("v0"), []byte("v1")), catalog.ErrMoved)
	wantErr(t, swap(a, []byte{}, []byte("v1")), catalog.ErrMoved) // empty is not absent
	must(t, swap(a, nil, nil))
	wantAbsent(t, a, head)
	must(t, swap(a, nil, []byte("v1")))
	wantErr(t, swap(b, nil, []byte("v2")), catalog.ErrMoved)
	must(t, swap(b, []byte("v1"), []byte("v2")))
	wantErr(t, swap(a, []byte("v1"), []byte("v3")), catalog.ErrMoved)
	wantValue(t, a, head, "v2")
	must(t, swap(a, []byte("v2"), []byte("v2")))
	must(t, swap(a, []byte("v2"), []byte{}))
	wantErr(t, swap(b, nil, []byte("v3")), catalog.ErrMoved)
	must(t, swap(b, []byte{}, nil))
	wantAbsent(t, a, head)
	wantKeys(t, a, "heads/")
	must(t, swap(a, nil, []byte("v1"))) // a value may come back
	wantValue(t, b, head, "v1")
}

func testList(t suite) {
	c := t.open()
	records := []string{"images/a", "images/web", "images/web-1/a", "images/web/1", "images/web/10", "images/web/2", "images/web0", "other"}
	for _, key := range slices.Backward(records) {
		must(t, c.Put(t.Context(), key, []byte(key)))
	}
	must(t, c.Swap(t.Context(), "heads/latest/web", nil, []byte("2")))
	other := t.open()
	wantKeys(t, other, "", append([]string{"heads/latest/web"}, records...)...)
	wantKeys(t, other, "images/", records[:7]...)
	wantKeys(t, other, "images/web/", "images/web/1", "images/web/10", "images/web/2")
	wantKeys(t, other, "images/web", "images/web", "images/web-1/a", "images/web/1", "images/web/10", "images/web/2", "images/web0")
	wantKeys(t, other, "images/web/1", "images/web/1", "images/web/10")
	wantKeys(t, other, "heads", "heads/latest/web")
	for _, none := range []string{"x", "images/web/3", "images/web/1/", "/", "//", ".", "..", "../", "images/../", "images//", "images/./", "\x00/"} {
		wantKeys(t, other, none)
	}
}

func testKeys(t suite) {
	c := t.open()
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/./b", "a b", "a,b", "a\\b", "a\n", "ä", "a%2fb", "a:b", "a*",
		strings.Repeat("a/", 256) + "a", strings.Repeat("a", 201), "heads",
	} {
		if key != "heads" { // an ordinary record, although no head
			wantErr(t, c.Put(t.Context(), key, []byte("x")), catalog.ErrKey)
			_, err := c.Get(t.Context(), key)
			wantErr(t, err, catalog.ErrKey)
			wantErr(t, c.Swap(t.Context(), "heads/"+key, nil, []byte("x")), catalog.ErrKey)
		}
		wantErr(t, c.Swap(t.Context(), key, nil, []byte("x")), catalog.ErrKey)
	}
	wantErr(t, c.Put(t.Context(), "heads/web", []byte("x")), catalog.ErrKey)
	long := strings.Repeat(strings.Repeat("a", 200)+"/", 2) + strings.Repeat("z", 110)
	for _, key := range []string{"heads", "a", "-", "...", ".a", "a@b=c+d_e.f-g", "Aa0", long, strings.Repeat("a/", 255) + "a"} {
		must(t, c.Put(t.Context(), key, []byte(key)))
		wantValue(t, c, key, key)
	}
}

// testPrefixKeys stores keys of which one could be the folder of another.
func testPrefixKeys(t suite) {
	c := t.open()
	keys := []string{"a", "a.json", "a.json/b", "a.tmp", "a.v", "a/b", "a/b/c", "heads/a", "heads/a/b", "heads/a/b.lock"}
	for i, key := range append(slices.Clone(keys[5:]), keys[:5]...) {
		if strings.HasPrefix(key, catalog.Heads) {
			must(t, c.Swap(t.Context(), key, nil, []byte(strconv.Itoa(i))))
		} else {
			must(t, c.Put(t.Context(), key, []byte(strconv.Itoa(i))))
		}
	}
	wantKeys(t, t.open(), "", keys...)
	wantValue(t, c, "a/b", "0")
	wantValue(t, c, "a", "5")
	must(t, c.Swap(t.Context(), "heads/a", []byte("2"), nil))
	wantValue(t, c, "heads/a/b", "3")
}

func testBodies(t suite) {
	c := t.open()
	for i, body := range [][]byte{{}, nil, {0}, []byte("\n"), []byte("a\r\nb\x00\xff"), bytes.Repeat([]byte("0123456789abcdef"), 1<<16)} {
		key := fmt.Sprintf("bodies/%d", i)
		must(t, c.Put(t.Context(), key, body))
		must(t, c.Put(t.Context(), key, body))
		wantValue(t, t.open(), key, string(body))
	}
}

func testAliasing(t suite) {
	c := t.open()
	body := []byte("body")
	must(t, c.Put(t.Context(), "record", body))
	must(t, c.Swap(t.Context(), "heads/head", nil, body))
	clear(body)
	for _, key := range []string{"record", "heads/head"} {
		got, err := c.Get(t.Context(), key)
		must(t, err)
		clear(got)
		wantValue(t, c, key, "body")
	}
}

func testCancelled(t suite) {
	c := t.open()
	must(t, c.Put(t.Context(), "record", []byte("x")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, c.Put(ctx, "other", []byte("x")), context.Canceled)
	wantErr(t, c.Swap(ctx, "heads/head", nil, []byte("x")), context.Canceled)
	_, err := c.Get(ctx, "record")
	wantErr(t, err, context.Canceled)
	_, err = c.List(ctx, "")
	wantErr(t, err, context.Canceled)
	_, err = c.Verify(ctx)
	wantErr(t, err, context.Canceled)
	wantKeys(t, c, "", "record")
}

const (
	handles    = 3 // as many processes
	goroutines = 3 // in each of them
)

// contend calls do from several goroutines of several handles at once.
func contend(t suite, do func(worker int, c catalog.Catalog)) {
	var all sync.WaitGroup
	for h := range handles {
		c := t.open()
		for g := range goroutines {
			all.Go(func() { do(h*goroutines+g, c) })
		}
	}
	all.Wait()
}

// testCounter counts in a head: an increment that gets lost was not linearizable.
func testCounter(t suite) {
	const each = 4
	contend(t, func(_ int, c catalog.Catalog) {
		for range each {
			if err := increment(t.Context(), c, "heads/counter"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wantValue(t, t.open(), "heads/counter", strconv.Itoa(handles*goroutines*each))
}

func increment(ctx context.Context, c catalog.Catalog, head string) error {
	for {
		old, err := c.Get(ctx, head)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		n, _ := strconv.Atoi(string(old)) // nothing counts as zero
		if err := c.Swap(ctx, head, old, []byte(strconv.Itoa(n+1))); !errors.Is(err, catalog.ErrMoved) {
			return err
		}
	}
}

// testOneWinner puts different bodies under the same keys.
func testOneWinner(t suite) {
	const keys = 4
	var winner [keys]atomic.Pointer[string]
	contend(t, func(worker int, c catalog.Catalog) {
		body := strconv.Itoa(worker)
		for i := range keys {
			err := c.Put(t.Context(), fmt.Sprintf("race/%d", i), []byte(body))
			if err == nil && !winner[i].CompareAndSwap(nil, &body) {
				t.Errorf("race/%d: both %s and %s were put", i, *winner[i].Load(), body)
			}
			if err != nil && !errors.Is(err, catalog.ErrExists) {
				t.Error(err)
			}
		}
	})
	for i := range keys {
		wantValue(t, t.open(), fmt.Sprintf("race/%d", i), *winner[i].Load())
	}
}
