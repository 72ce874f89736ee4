package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// Version is that of the records on disk. A change that older records cannot be read with raises it.
const Version = "1"

// fileName is the file of the records in the folder of a cloud.
const fileName = "records.db"

// lettingGo is how long a process that was killed may take, on a busy machine, until the kernel has closed its files.
const lettingGo = 2 * time.Second

var (
	// ErrInUse is wrapped when another process works with the folder.
	ErrInUse = errors.New("in use by another process")
	// ErrVersion is wrapped when the folder was written by an iibake that keeps records in another way.
	ErrVersion = errors.New("written by another version of iibake")
	// ErrDamaged is wrapped when the folder does not hold what was written to it, as after a power failure.
	ErrDamaged = errors.New("damaged")
)

// The buckets of the file: meta, and records with a bucket for each region, in it one for each table.
const (
	metaBucket    = "meta"
	recordsBucket = "records"
	versionKey    = "version"
	clockKey      = "clock"
)

// Open returns the store whose records are kept in a folder, which is made if it does not exist and which nobody else may open
// until Close. Errors wrap ErrInUse, ErrVersion or ErrDamaged, or say why the folder cannot be written.
func Open(dir string, c clock.Clock) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	name := filepath.Join(dir, fileName)
	db, err := openFile(name)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s := New(c)
	s.keeper = &keeper{db: db}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open state: %s: %w", name, errors.Join(err, db.Close()))
	}
	return s, nil
}

// Remove removes the records of a folder, of whatever version and however damaged. It is fine if there are none.
func Remove(dir string) error {
	err := os.Remove(filepath.Join(dir, fileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

// openFile opens the file without fsync: what a killed process wrote is in the page cache and stays, in the order in which it was
// written, so that only a crash of the whole host can lose or damage records. They describe machines that are gone with it,
// and waiting for the disk would cost every call some milliseconds.
func openFile(name string) (*bolt.DB, error) {
	db, err := boltOpen(name)
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", name, ErrInUse)
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s: %w", name, ErrVersion)
	case errors.Is(err, ErrDamaged):
		return nil, fmt.Errorf("%s: %w", name, err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum):
		return nil, fmt.Errorf("%s: %w: %w", name, ErrDamaged, err)
	}
	return nil, err
}

func boltOpen(name string) (db *bolt.DB, err error) {
	defer faultsPanic()()
	defer recoverDamage(&err)
	return bolt.Open(name, 0o600, &bolt.Options{
		Timeout: lettingGo,
		NoSync:  true, NoGrowSync: true,
		NoFreelistSync: true, FreelistType: bolt.FreelistMapType, // cheaper commits, for a little more work at the start
	})
}

// load reads everything, or begins a new file.
func (s *Store) load() (err error) {
	defer faultsPanic()()
	defer recoverDamage(&err)
	fresh := false
	err = s.keeper.db.View(func(tx *bolt.Tx) error {
		if fresh = tx.Bucket([]byte(metaBucket)) == nil; fresh {
			return nil
		}
		return s.loadAll(tx)
	})
	if err != nil || !fresh {
		return err
	}
	return s.keeper.db.Update(begin)
}

// begin writes what a file has that holds nothing yet.
func begin(tx *bolt.Tx) error {
	meta, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket([]byte(recordsBucket)); err != nil {
		return err
	}
	return meta.Put([]byte(versionKey), []byte(Version))
}

func (s *Store) loadAll(tx *bolt.Tx) error {
	meta := tx.Bucket([]byte(metaBucket))
	if got := string(meta.Get([]byte(versionKey))); got != Version {
		return fmt.Errorf("%w: its records have version %q, and this one reads version %q", ErrVersion, got, Version)
	}
	if err := s.keeper.last.UnmarshalText(meta.Get([]byte(clockKey))); err != nil && meta.Get([]byte(clockKey)) != nil {
		return fmt.Errorf("%w: time: %w", ErrDamaged, err)
	}
	records := tx.Bucket([]byte(recordsBucket))
	if records == nil {
		return fmt.Errorf("%w: it has no records", ErrDamaged)
	}
	return records.ForEachBucket(func(name []byte) error {
		return s.region(string(name)).load(records.Bucket(name))
	})
}

func (r *Region) load(b *bolt.Bucket) error {
	for _, t := range r.tables {
		rows := b.Bucket([]byte(t.name))
		if rows == nil {
			continue
		}
		err := rows.ForEach(func(key, row []byte) error {
			if err := t.load(string(key), row); err != nil {
				return fmt.Errorf("%w: %s %s in %s: %w", ErrDamaged, t.name, key, r.Name, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recoverDamage turns the panic that bbolt answers a damaged page with, or the fault of reading behind the end of a file that was cut
// off, into an error. It is deferred.
func recoverDamage(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrDamaged, r)
	}
}

// faultsPanic has faults of memory panic in this goroutine until restore is called, instead of ending the process.
func faultsPanic() (restore func()) {
	old := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(old) }
}
