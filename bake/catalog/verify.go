package catalog

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake/internal/flock"
)

// Verify implements [Catalog]. A change that a killed process left half made is no problem: the next change completes or
// drops it. What nobody can find is that the last entries and their records were both removed, or that the whole journal was
// written anew.
func (d *Dir) Verify(ctx context.Context) ([]Problem, error) {
	f, err := os.Open(d.journal())
	if err == nil {
		defer func() { _ = f.Close() }()
		err = lockFile(ctx, f, flock.Shared)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v := verification{want: map[string]string{}}
	if f != nil {
		if err := v.readJournal(ctx, f); err != nil {
			return nil, fmt.Errorf("verify %s: %w", d.journal(), err)
		}
	}
	if err := v.compare(ctx, d); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return v.problems, nil
}

// verification is what the journal says, and what does not fit.
type verification struct {
	want     map[string]string // key → digest of its value
	last     entry
	before   string // what last.Key held before the last entry
	problems []Problem
}

func (v *verification) report(key, format string, args ...any) {
	v.problems = append(v.problems, Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

// readJournal checks every line but a torn last one.
func (v *verification) readJournal(ctx context.Context, f *os.File) error {
	head, err := readHeader(f)
	if err != nil || head == "" {
		return err
	}
	lines := bufio.NewReader(f)
	prev := "" // digest of the line before, or "" where that was unreadable and nobody can know
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		line = line[:len(line)-1]
		if number > 1 && !v.readEntry(fmt.Sprintf("journal:%d", number), line, prev) {
			prev = ""
			continue
		}
		prev = digestOf(line)
	}
}

// readEntry reports whether the line can be read.
func (v *verification) readEntry(where string, line []byte, prev string) bool {
	e, err := parseEntry(line)
	if err != nil {
		v.report(where, "%v: it was altered or torn", err)
		return false
	}
	if prev != "" && e.Prev != prev {
		v.report(where, "the chain is broken: this entry does not belong behind the line before: one of them was altered, removed or added")
	} else if prev != "" && e.Seq != v.last.Seq+1 {
		v.report(where, "entry %d stands behind entry %d", e.Seq, v.last.Seq)
	}
	v.before = v.want[e.Key]
	if e.Op == opPut && v.before != "" {
		v.report(where, "record %s is put a second time", e.Key)
	}
	if e.Value == "" {
		delete(v.want, e.Key)
	} else {
		v.want[e.Key] = e.Value
	}
	v.last = e
	return true
}

// compare checks every file against the journal.
func (v *verification) compare(ctx context.Context, d *Dir) error {
	have := map[string]string{}
	var failed error
	err := d.walk(ctx, "", func(key string, _ fs.DirEntry) {
		value, err := readValue(d.path(key))
		failed = cmp.Or(failed, err)
		have[key] = digestOf(value)
	}, func(name string) {
		v.report(name, "not a file of the catalog")
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	value, err := readValue(d.pending())
	if err != nil {
		return err
	}
	if value != nil && (v.last.Value == "" || v.last.Value == digestOf(value)) && have[v.last.Key] == v.before {
		have[v.last.Key] = v.last.Value // as the next change will make it
	}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(have)), maps.Keys(v.want))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		v.judge(key, have[key], v.want[key])
	}
	return nil
}

// judge reports a value that the journal does not account for. An empty digest stands for no value.
func (v *verification) judge(key, have, want string) {
	switch {
	case have == want:
	case have == "":
		v.report(key, "missing: the journal says that it exists")
	case want == "":
		v.report(key, "not in the journal: somebody added it or brought it back")
	case strings.HasPrefix(key, Heads):
		v.report(key, "does not hold what the journal says: it was altered")
	default:
		v.report(key, "altered: it has digest %s, the journal says %s", have, want)
	}
}
