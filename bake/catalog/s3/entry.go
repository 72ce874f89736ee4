package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/bake/catalog"
)

const (
	journalDir = "journal/"
	opPut      = "put"
	opSwap     = "swap"
	maxSeq     = 999_999_999_999
)

// entry is an entry of the journal: changes of different keys that are made at once. Its object is the header, the entry as a line of JSON, and the
// values of its changes, one behind the other.
type entry struct {
	Seq     int64     `json:"seq"` // counts from one
	Time    time.Time `json:"time"`
	Changes []change  `json:"changes"`
	Nonce   string    `json:"nonce"` // of its writer: two who want the same at the same time are still two
	Prev    string    `json:"prev"`  // digest of the line of the entry before
}

// change is what an entry does to a key.
type change struct {
	Op    string `json:"op"` // put or swap
	Key   string `json:"key"`
	Value string `json:"value,omitempty"` // digest of what the key holds from now on; absent where the head was removed
	Size  int64  `json:"size,omitempty"`  // bytes of it

	body []byte // it
}

// first is what the first entry has for the digest of the one before.
func first() string { return digestOf([]byte(header())) }

// entryName returns the name of the object of an entry.
func entryName(seq int64) string {
	return fmt.Sprintf("%s%0*d-%0*d", journalDir, seqDigits, maxSeq-seq, seqDigits, seq)
}

// entrySeq returns the number of the entry that a name is of.
func entrySeq(name string) (int64, error) {
	_, number, _ := strings.Cut(strings.TrimPrefix(name, journalDir), "-")
	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 1 || seq > maxSeq || entryName(seq) != name {
		return 0, errors.New("not the name of an entry: something else is kept below this prefix")
	}
	return seq, nil
}

// format returns the object of the entry, and the digest of its line.
func (e entry) format() (body []byte, digest string, err error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, "", err
	}
	body = append([]byte(header()+"\n"), line...)
	body = append(body, '\n')
	for _, c := range e.Changes {
		body = append(body, c.body...)
	}
	return body, digestOf(line), nil
}

// parseEntry reads the object of an entry, with the digest of its line.
func parseEntry(body []byte) (e entry, digest string, err error) {
	rest, err := parseHeader(body)
	if err != nil {
		return entry{}, "", err
	}
	line, values, _ := bytes.Cut(rest[1:], []byte("\n"))
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || dec.InputOffset() != int64(len(line)) {
		return entry{}, "", fmt.Errorf("unreadable entry %q: it was altered", shorten(string(line)))
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		if err := c.check(); err != nil {
			return entry{}, "", fmt.Errorf("entry %d makes no sense: %w", e.Seq, err)
		}
		if c.Size < 0 || c.Size > int64(len(values)) {
			return entry{}, "", fmt.Errorf("entry %d: the value of %s is not whole: it was altered", e.Seq, c.Key)
		}
		if c.Value != "" {
			c.body, values = values[:c.Size:c.Size], values[c.Size:]
		}
		if digestOf(c.body) != c.Value {
			return entry{}, "", fmt.Errorf("entry %d: the value of %s was altered", e.Seq, c.Key)
		}
	}
	return e, digestOf(line), nil
}

func (c change) check() error {
	switch {
	case c.Op == opPut && c.Value != "":
		return catalog.CheckRecord(c.Key)
	case c.Op == opSwap:
		return catalog.CheckHead(c.Key)
	}
	return fmt.Errorf("%s %q", c.Op, c.Key)
}
