package localcloud

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Config is what a cloud is told when it is made. The zero value is a cloud of real machines that forgets everything at its end.
type Config struct {
	Dir    string // folder of the state; empty for a cloud that forgets everything when it is closed
	Blocks string // folder of the block store; default: the one that Dir was made with, or else a folder in Dir

	Simulate bool
	Speed    float64   // of a simulated cloud's clock: 0 stands still but for Advance, 60 makes a minute of a second, Fast makes of it what it can
	Start    time.Time // what a simulated cloud's clock shows first; default: the host's time
	Seed     uint64    // of everything that is left to chance
	Scenario Document  // how simulated instances behave; see internal/simulation
	Faults   Document  // when calls fail; see internal/fault

	Accounts map[string]string // further access keys, with the 12 digits of their accounts; those digits always are an access key

	MaxInstances int       // that run at the same time; default: as many as the host's memory holds
	Memory       bake.Size // of all instances together; default: what the host can spare

	Version string       // of the program, for its answers
	Log     *slog.Logger // default: nowhere

	secret  []byte // of identity
	scratch string // folder of this process in place of Dir
}

// Document is the text of a YAML file. Its name stands in errors.
type Document struct {
	Name string
	Text []byte
}

// ErrOtherCloud is wrapped when the state folder belongs to a cloud that was made with other settings.
var ErrOtherCloud = errors.New("made with other settings")

// identity is what stays the same as long as a state folder lives: its records make no sense without it.
type identity struct {
	Simulate bool   `json:"simulate"`
	Blocks   string `json:"blocks"`
	Secret   []byte `json:"secret"` // that session tokens are signed with
}

// Names in the state folder, besides those of package state.
const (
	identityName = "cloud.json"
	storeName    = "store"    // blocks
	machinesName = "machines" // what is written by guests
	bucketsName  = "buckets"  // of S3
)

// complete sets defaults and makes the folders. The returned function removes what was made for this process only.
func (c Config) complete() (Config, func() error, error) {
	cleanUp := func() error { return nil }
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Start.IsZero() {
		c.Start = time.Now()
	}
	if c.Dir == "" {
		dir, err := os.MkdirTemp("", "iibake-cloud-")
		if err != nil {
			return c, nil, fmt.Errorf("local cloud: %w", err)
		}
		cleanUp = func() error { return os.RemoveAll(dir) }
		if c.Blocks == "" {
			c.Blocks = filepath.Join(dir, storeName)
		}
		c.secret, c.scratch = newSecret(), dir
		return c, cleanUp, nil
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, nil, fmt.Errorf("local cloud: %w", err)
	}
	if err = os.MkdirAll(c.Dir, 0o700); err != nil {
		return c, nil, fmt.Errorf("local cloud: %w", err)
	}
	is, err := c.identify()
	c.Blocks, c.secret = is.Blocks, is.Secret
	return c, cleanUp, err
}

func newSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// identify returns what the folder was made with, or gives it our settings. Others than ours are refused.
func (c Config) identify() (is identity, err error) {
	blocks := c.Blocks
	if blocks == "" {
		blocks = filepath.Join(c.Dir, storeName)
	}
	if blocks, err = filepath.Abs(blocks); err != nil {
		return is, fmt.Errorf("local cloud: %w", err)
	}
	name := filepath.Join(c.Dir, identityName)
	body, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		is = identity{Simulate: c.Simulate, Blocks: blocks, Secret: newSecret()}
		return is, is.write(name)
	}
	if err != nil {
		return is, fmt.Errorf("local cloud: %w", err)
	}
	if err := json.Unmarshal(body, &is); err != nil {
		return is, fmt.Errorf("local cloud: %s: %w: %w", name, ErrDamaged, err)
	}
	if is.Simulate != c.Simulate {
		return is, fmt.Errorf("local cloud: %s: %w: it holds the state of %s", c.Dir, ErrOtherCloud, is.kind())
	}
	if c.Blocks != "" && is.Blocks != blocks {
		return is, fmt.Errorf("local cloud: %s: %w: its blocks are in %s, not in %s", c.Dir, ErrOtherCloud, is.Blocks, blocks)
	}
	return is, nil
}

func (i identity) kind() string {
	if i.Simulate {
		return "simulated instances"
	}
	return "real machines"
}

func (i identity) write(name string) error {
	body, err := json.Marshal(i) //nolint:gosec // the file is where the secret is kept, for its owner only
	if err != nil {
		return fmt.Errorf("local cloud: %w", err)
	}
	aside := name + ".new"
	if err := os.WriteFile(aside, append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("local cloud: %w", err)
	}
	return os.Rename(aside, name)
}

func (c Config) machinesDir() string { return filepath.Join(cmp.Or(c.Dir, c.scratch), machinesName) }

// bucketsDir is empty where nothing is to be kept.
func (c Config) bucketsDir() string {
	if c.Dir == "" {
		return ""
	}
	return filepath.Join(c.Dir, bucketsName)
}

// forget removes what New and the services keep below Dir. Blocks of somebody else's store stay.
func (c Config) forget() error {
	if c.Dir == "" {
		return os.RemoveAll(c.machinesDir())
	}
	errs := []error{state.Remove(c.Dir), os.RemoveAll(c.machinesDir()), os.RemoveAll(c.bucketsDir())}
	if c.Blocks == filepath.Join(c.Dir, storeName) {
		errs = append(errs, os.RemoveAll(c.Blocks))
	}
	return errors.Join(errs...)
}

// speedName writes the speed of the clock as Config.Speed has it.
func speedName(c Config) string {
	switch {
	case !c.Simulate:
		return "1"
	case c.Speed == Fast:
		return "max"
	}
	return strconv.FormatFloat(c.Speed, 'g', -1, 64)
}

// IsNew reports whether a folder has no cloud yet, so that New will make one with its settings.
func IsNew(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, identityName))
	return errors.Is(err, fs.ErrNotExist)
}

// IsSimulated reports whether the cloud that a folder has was made with simulated instances.
func IsSimulated(dir string) bool {
	var is identity
	body, err := os.ReadFile(filepath.Join(dir, identityName))
	return err == nil && json.Unmarshal(body, &is) == nil && is.Simulate
}

// Forget removes everything that a cloud that is not up has left in its state folder, also one that New cannot go on with. Where the blocks are in
// another folder, and the records cannot be read, some blocks stay there.
func Forget(dir string) error {
	if !IsNew(dir) {
		releaseBlocks(dir)
	}
	c := Config{Dir: dir, Blocks: filepath.Join(dir, storeName)}
	if err := c.forget(); err != nil {
		return fmt.Errorf("forget the local cloud: %w", err)
	}
	err := os.Remove(filepath.Join(dir, identityName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the local cloud: %w", err)
	}
	return nil
}

// releaseBlocks gives up what the snapshots of a cloud that is not up hold in the block store, as far as that can be found out.
func releaseBlocks(dir string) {
	var is identity
	body, err := os.ReadFile(filepath.Join(dir, identityName))
	if err != nil || json.Unmarshal(body, &is) != nil || is.Blocks == filepath.Join(dir, storeName) {
		return
	}
	e := engine{}
	if e.store, err = state.Open(dir, clock.Real{}); err != nil {
		return
	}
	defer func() { _ = e.store.Close() }()
	if e.blocks, err = disk.Open(is.Blocks); err != nil {
		return
	}
	defer func() { _ = e.blocks.Close() }()
	_ = e.release()
}

// Why a state folder cannot be used.
var (
	// ErrInUse is wrapped when another process has the folder.
	ErrInUse = state.ErrInUse
	// ErrVersion is wrapped when the folder was written by another version of iibake.
	ErrVersion = state.ErrVersion
	// ErrDamaged is wrapped when the folder does not hold what was written to it.
	ErrDamaged = state.ErrDamaged
)
