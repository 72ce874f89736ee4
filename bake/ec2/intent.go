package ec2

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/ec2/target"
)

// intent is put on record before anything is made in a region, and removed when all of it has its artifact. Whoever finds one goes on with
// it: the same tokens lead to the same resources, whether or not the process before got as far as making them.
type intent struct {
	Endpoint string    `json:"endpoint,omitempty"`
	Account  string    `json:"account"`
	Region   string    `json:"region"`
	Copy     bool      `json:"copy,omitempty"` // of an AMI of another region, not an upload
	Run      string    `json:"run"`            // what is made is tagged with it, and tokens are made of it
	At       time.Time `json:"at"`

	Parent   *origin `json:"parent,omitempty"`   // of the snapshot
	Snapshot string  `json:"snapshot,omitempty"` // once it is known
	Drop     bool    `json:"drop,omitempty"`     // what was made of it is to be deleted
}

// origin is a snapshot that another one begins as.
type origin struct {
	Snapshot  string      `json:"snapshot"`
	Disk      bake.Digest `json:"disk"` // what it holds
	GiB       int64       `json:"gib"`
	Encrypted bool        `json:"encrypted,omitempty"`
}

// token returns what makes a call idempotent: the same for the same intent, in every process, and another one for anything else.
func (i intent) token(parts ...string) *string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{i.Run, i.Account, i.Region}, parts...), "\n")))
	token := hex.EncodeToString(sum[:])
	return &token
}

// entry is an intent and its place in the catalog.
type entry struct {
	intent
	c    catalog.Catalog
	key  string
	body []byte // as it is on record; nil where it is not
	old  bool   // another process put it on record
}

// intentsPrefix is that of the heads NAME/VERSION/PLACE/ACCOUNT/REGION → intent.
const intentsPrefix = catalog.Heads + "publishing/"

func intentKey(r bake.Ref, at *target.Target) string {
	place := "aws"
	if at.Endpoint != "" {
		place = bake.DigestOf([]byte(at.Endpoint)).Short()
	}
	return intentsPrefix + strings.Join([]string{r.Name, r.Version, place, at.Account, at.Region}, "/")
}

// openEntry returns the intent that is on record for a region, or one that is not.
func openEntry(ctx context.Context, c catalog.Catalog, r bake.Ref, at *target.Target) (*entry, error) {
	e := &entry{c: c, key: intentKey(r, at)}
	err := e.load(ctx)
	e.old = e.known()
	return e, err
}

func (e *entry) load(ctx context.Context) error {
	e.intent, e.body = intent{}, nil
	body, err := e.c.Get(ctx, e.key)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(body, &e.intent)
	}
	if err != nil {
		return fmt.Errorf("what is under way in %s: %w", e.key, err)
	}
	e.body = body
	return nil
}

// known reports whether the intent is on record.
func (e *entry) known() bool { return e.body != nil }

// begin puts an intent on record in place of the one that was there. Where another process has been faster, e is that one's from now on: both
// then make the same.
func (e *entry) begin(ctx context.Context, at *target.Target, now time.Time) error {
	e.intent = intent{
		Endpoint: at.Endpoint, Account: at.Account, Region: at.Region, Copy: e.Copy, Parent: e.Parent,
		Run: now.UTC().Format("20060102T150405Z-") + strings.ToLower(rand.Text()[:8]), At: now.UTC(),
	}
	err := e.save(ctx)
	if errors.Is(err, catalog.ErrMoved) {
		err = e.load(ctx)
	}
	return err
}

func (e *entry) save(ctx context.Context) error {
	body, err := json.Marshal(e.intent)
	if err != nil {
		return err
	}
	if err := e.c.Swap(ctx, e.key, e.body, body); err != nil {
		return fmt.Errorf("record what is under way: %w", err)
	}
	e.body = body
	return nil
}

// started records which snapshot the intent led to. Another process that has begun the same has found the same.
func (e *entry) started(ctx context.Context, snapshot string) error {
	if e.Snapshot == snapshot {
		return nil
	}
	e.Snapshot = snapshot
	err := e.save(ctx)
	if !errors.Is(err, catalog.ErrMoved) {
		return err
	}
	if err := e.load(ctx); err != nil {
		return err
	}
	if e.Snapshot != snapshot || e.Drop {
		return fmt.Errorf("snapshot %s: somebody else publishes the same image at this moment: try again when that has ended: %w", snapshot, catalog.ErrMoved)
	}
	return nil
}

// remove takes the intent off the record. One that somebody else has changed meanwhile is somebody else's.
func (e *entry) remove(ctx context.Context) error {
	if !e.known() {
		return nil
	}
	err := e.c.Swap(ctx, e.key, e.body, nil)
	if err != nil && !errors.Is(err, catalog.ErrMoved) {
		return fmt.Errorf("remove what was under way: %w", err)
	}
	e.intent, e.body = intent{}, nil
	return nil
}
