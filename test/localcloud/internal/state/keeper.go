package state

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// lull is how long a change that nobody waits for may stay in memory only: enough for those that come together to be kept together.
const lull = 20 * time.Millisecond

// keeper keeps the records of a store in a file: everything that was changed since the last time, in one transaction. Whoever
// waits for it while another one does it finds his own changes kept as well.
type keeper struct {
	changes atomic.Uint64 // how many Updates have changed something
	coming  atomic.Bool   // a Sync will come by itself

	mu   sync.Mutex // held while changes are kept
	db   *bolt.DB
	kept uint64    // how many of the changes are kept
	last time.Time // of the cloud's clock, when they were
}

// expect is called under the lock of a region that was changed.
func (k *keeper) expect(s *Store) {
	k.changes.Add(1)
	if k.coming.CompareAndSwap(false, true) {
		time.AfterFunc(lull, func() {
			k.coming.Store(false)
			_ = s.Sync() // whoever needs to know calls it himself and gets the same error
		})
	}
}

// Sync returns when everything that was changed before is on record: a process that is killed afterwards finds it again. It does nothing
// for a store in memory. After an error the changes are still waiting, and the next Sync tries again.
func (s *Store) Sync() error {
	if s.keeper == nil {
		return nil
	}
	return s.keeper.sync(s, s.keeper.changes.Load())
}

// LastTime returns what the cloud's clock showed when records were kept last, or when the store was closed; zero if there are none.
func (s *Store) LastTime() time.Time {
	if s.keeper == nil {
		return time.Time{}
	}
	s.keeper.mu.Lock()
	defer s.keeper.mu.Unlock()
	return s.keeper.last
}

// Close keeps what is not kept yet, and the time, waits until it is on the disk, and gives the folder up. Changes after it are lost.
func (s *Store) Close() error {
	if s.keeper == nil {
		return nil
	}
	err := s.Sync()
	if stamped := s.keeper.stamp(s.clock.Now()); err == nil {
		err = stamped
	}
	if closed := s.keeper.close(); err == nil {
		err = closed
	}
	return err
}

// stamp keeps the time where that has gone on since anything was changed: who only looked has seen it, too.
func (k *keeper) stamp(now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.db == nil || k.last.IsZero() || !now.After(k.last) {
		return nil
	}
	if err := k.commit(nil, now); err != nil {
		return fmt.Errorf("keep the time: %w", err)
	}
	k.last = now
	return nil
}

func (k *keeper) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.db == nil {
		return nil
	}
	err := k.db.Sync()
	if closed := k.db.Close(); err == nil {
		err = closed
	}
	k.db = nil
	return err
}

func (k *keeper) sync(s *Store, upTo uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept >= upTo || k.db == nil {
		return nil
	}
	now, changes := s.clock.Now(), k.changes.Load() // what is counted here is taken below
	cut, err := s.take()
	if err != nil {
		return fmt.Errorf("keep state: %w", err)
	}
	if err := k.commit(cut, now); err != nil {
		s.untake(cut)
		return fmt.Errorf("keep state: %w", err)
	}
	k.kept, k.last = changes, now
	return nil
}

// cut is changed rows by region and table; a row that is gone is nil.
type cut map[string]map[string]map[string][]byte

// take takes the changes of all regions, each region as it is between two Updates.
func (s *Store) take() (cut, error) {
	all := cut{}
	for _, name := range s.Regions() {
		if err := s.region(name).take(all); err != nil {
			s.untake(all)
			return nil, err
		}
	}
	return all, nil
}

// take only reads the rows, and nobody else takes at the same time: requests that read go on.
func (r *Region) take(all cut) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, t := range r.tables {
		if t.dirtyLen() == 0 {
			continue
		}
		if all[r.Name] == nil {
			all[r.Name] = map[string]map[string][]byte{}
		}
		rows, err := t.take()
		if err != nil {
			return err
		}
		all[r.Name][t.name] = rows
	}
	return nil
}

func (s *Store) untake(c cut) {
	for name, tables := range c {
		s.region(name).untake(tables)
	}
}

func (r *Region) untake(tables map[string]map[string][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tables {
		t.untake(tables[t.name])
	}
}

func (k *keeper) commit(c cut, now time.Time) (err error) {
	defer faultsPanic()()
	defer recoverDamage(&err)
	return k.db.Update(func(tx *bolt.Tx) error {
		stamp, err := now.MarshalText()
		if err != nil {
			return err
		}
		if err := tx.Bucket([]byte(metaBucket)).Put([]byte(clockKey), stamp); err != nil {
			return err
		}
		for region, tables := range c {
			if err := commitRegion(tx, region, tables); err != nil {
				return err
			}
		}
		return nil
	})
}

func commitRegion(tx *bolt.Tx, name string, tables map[string]map[string][]byte) error {
	region, err := tx.Bucket([]byte(recordsBucket)).CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return err
	}
	for table, rows := range tables {
		b, err := region.CreateBucketIfNotExists([]byte(table))
		if err != nil {
			return err
		}
		for key, row := range rows {
			if err := commitRow(b, key, row); err != nil {
				return fmt.Errorf("%s %s: %w", table, key, err)
			}
		}
	}
	return nil
}

func commitRow(b *bolt.Bucket, key string, row []byte) error {
	if row == nil {
		return b.Delete([]byte(key))
	}
	return b.Put([]byte(key), row)
}
