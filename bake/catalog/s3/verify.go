package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/iibake/iibake/bake/catalog"
)

// Verify implements [catalog.Catalog]. Others may go on changing the catalog meanwhile. A change that was left half made is no problem: the next one
// completes it. What nobody can find is that the last entries were removed and what they placed was put back to what it was before.
func (c *Catalog) Verify(ctx context.Context) ([]catalog.Problem, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v := verification{bucket: c.bucket, moves: map[string][]move{}, have: map[string]value{}}
	for _, step := range []func(context.Context) error{v.readValues, v.readJournal} { // in this order: what was placed has an entry
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	v.compare()
	return v.problems, nil
}

// verification is what the journal says, what there is, and what does not fit.
type verification struct {
	bucket   *bucket
	before   int64             // the last entry when it began
	moves    map[string][]move // of each key, oldest first
	have     map[string]value  // by key; absent where the object cannot be read
	problems []catalog.Problem
}

// move is what an entry did to a key.
type move struct {
	seq    int64
	digest string
}

func (v *verification) report(key, format string, args ...any) {
	v.problems = append(v.problems, catalog.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

// readValues reads all that is below data/.
func (v *verification) readValues(ctx context.Context) (err error) {
	if v.before, err = v.bucket.newest(ctx); err != nil {
		return err
	}
	var keys []string
	err = v.bucket.list(ctx, dataDir, 0, func(l listed) {
		key := strings.TrimPrefix(l.name, dataDir)
		if catalog.CheckKey(key) != nil {
			v.report(l.name, "not an object of the catalog")
			return
		}
		keys = append(keys, key)
	})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	return each(ctx, len(keys), func(ctx context.Context, i int) error {
		o, err := v.bucket.get(ctx, dataDir+keys[i])
		if err != nil {
			return err
		}
		held, err := parseValue(o)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			v.report(dataDir+keys[i], "%v", err)
			held.seq = unreadable
		}
		held.digest, held.body = digestOf(held.body), nil
		v.have[keys[i]] = held
		return nil
	})
}

// unreadable is the entry of an object that cannot be read, which was reported.
const unreadable = -1

// window is how many entries are held at once.
const window = 128

// readJournal reads all entries, oldest first.
func (v *verification) readJournal(ctx context.Context) error {
	var numbers []int64
	err := v.bucket.list(ctx, journalDir, 0, func(l listed) {
		seq, err := entrySeq(l.name)
		if err != nil {
			v.report(l.name, "not an entry of the catalog")
			return
		}
		numbers = append(numbers, seq)
	})
	if err != nil {
		return err
	}
	slices.Sort(numbers)
	chain := chain{v, 0, first()}
	for some := range slices.Chunk(numbers, window) {
		bodies := make([][]byte, len(some))
		err := each(ctx, len(some), func(ctx context.Context, i int) error {
			o, err := v.bucket.get(ctx, entryName(some[i]))
			if err == nil && o != nil {
				bodies[i] = o.body
			}
			return err
		})
		if err != nil {
			return err
		}
		for i, seq := range some {
			chain.add(seq, bodies[i])
		}
	}
	return nil
}

// chain is how far the journal was checked.
type chain struct {
	v    *verification
	seq  int64
	prev string // digest of the entry before, or nothing where that was unreadable and nobody can know
}

func (c *chain) add(seq int64, body []byte) {
	where := journalDir + fmt.Sprintf("%0*d", seqDigits, seq)
	for c.seq++; c.seq < seq; c.seq++ {
		c.v.report(journalDir+fmt.Sprintf("%0*d", seqDigits, c.seq), "missing: it was removed")
		c.prev = ""
	}
	e, digest, err := parseEntry(body)
	if err == nil && e.Seq != seq {
		err = errors.New("it holds another entry: it was altered")
	}
	if err != nil {
		c.v.report(where, "%v", err)
		c.prev = ""
		return
	}
	if c.prev != "" && e.Prev != c.prev {
		c.v.report(where, "the chain is broken: this entry does not belong behind the one before: one of them was altered, removed or added")
	}
	c.prev = digest
	for _, ch := range e.Changes {
		if ch.Op == opPut && len(c.v.moves[ch.Key]) > 0 {
			c.v.report(where, "record %s is put a second time", ch.Key)
		}
		c.v.moves[ch.Key] = append(c.v.moves[ch.Key], move{seq, ch.Value})
	}
}

// compare checks every object against the journal.
func (v *verification) compare() {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(v.have)), maps.Keys(v.moves))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		held, ok := v.have[key]
		v.judge(key, held, ok)
	}
}

// judge reports an object that the journal does not account for. All entries but the last that there was at first had been placed then, and what
// came later may be placed or not.
func (v *verification) judge(key string, held value, ok bool) {
	moves := v.moves[key]
	least := int64(0)
	for _, m := range moves {
		if m.seq < v.before {
			least = m.seq
		}
	}
	i := slices.IndexFunc(moves, func(m move) bool { return m.seq == held.seq })
	switch {
	case held.seq == unreadable:
	case !ok && least > 0:
		v.report(key, "missing: the journal says that it exists")
	case !ok:
	case i < 0:
		v.report(key, "not in the journal: somebody added it or brought it back")
	case moves[i].digest != held.digest && strings.HasPrefix(key, catalog.Heads):
		v.report(key, "does not hold what the journal says: it was altered")
	case moves[i].digest != held.digest:
		v.report(key, "altered: it has digest %s, the journal says %s", held.digest, moves[i].digest)
	case held.seq < least:
		v.report(key, "does not hold what the journal says: it was put back to what it was before")
	}
}
