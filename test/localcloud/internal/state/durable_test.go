package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	bolt "go.etcd.io/bbolt"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

var epoch = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// open opens a store that the test closes.
func open(t *testing.T, dir string) *state.Store {
	t.Helper()
	s, err := state.Open(dir, clock.NewVirtual(epoch))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *state.Store, region, id string) {
	t.Helper()
	err := s.Update(region, func(r *state.Region) error {
		r.VPCs.Put(id, &state.VPC{Vpc: ec2types.Vpc{VpcId: aws.String(id)}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ids(t *testing.T, s *state.Store, region string) string {
	t.Helper()
	var all []string
	err := s.View(region, func(r *state.Region) error {
		for id, vpc := range r.VPCs.Sorted() {
			if aws.ToString(vpc.VpcId) != id {
				t.Errorf("%s holds %s", id, aws.ToString(vpc.VpcId))
			}
			all = append(all, id)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// A closed and reopened store has what was there: added, replaced, and not what was deleted; each region its own.
func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, dir)
	if !s.LastTime().IsZero() {
		t.Errorf("nothing was ever kept, and yet at %s", s.LastTime())
	}
	put(t, s, "eu-west-1", "vpc-1")
	put(t, s, "eu-west-1", "vpc-2")
	put(t, s, "us-east-1", "vpc-3")
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("no")
	err := s.Update("eu-west-1", func(r *state.Region) error {
		r.VPCs.Delete("vpc-1")
		r.VPCs.Delete("vpc-none")
		r.VPCs.Edit("vpc-2").CidrBlock = aws.String("10.0.0.0/16")
		return wrong // what was changed is kept all the same
	})
	if !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(s.Verify(), s.Close()); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir)
	if got := ids(t, s, "eu-west-1"); got != "vpc-2" {
		t.Errorf("eu-west-1 has %q", got)
	}
	if got := ids(t, s, "us-east-1"); got != "vpc-3" {
		t.Errorf("us-east-1 has %q", got)
	}
	if !s.LastTime().Equal(epoch) {
		t.Errorf("kept at %s", s.LastTime())
	}
	if err := errors.Join(s.Verify(), s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// Who ends a store that was only looked at for an hour finds the hour again.
func TestTimeIsKept(t *testing.T) {
	dir := t.TempDir()
	for hours := range 3 {
		c := clock.NewVirtual(epoch)
		s, err := state.Open(dir, c)
		if err != nil {
			t.Fatal(err)
		}
		if want := epoch.Add(time.Duration(hours) * time.Hour); hours > 0 && !s.LastTime().Equal(want) {
			t.Errorf("opened at %s, want %s", s.LastTime(), want)
		}
		if hours == 0 {
			put(t, s, "eu-west-1", "vpc-1")
		}
		c.Advance(time.Duration(hours+1) * time.Hour)
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// What nobody waits for is kept by itself.
func TestKeptByItself(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "eu-west-1", "vpc-1")
	for s.LastTime().IsZero() {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMemory(t *testing.T) {
	s := state.New(clock.NewVirtual(epoch))
	put(t, s, "eu-west-1", "vpc-1")
	if err := errors.Join(s.Sync(), s.Verify(), s.Close()); err != nil || !s.LastTime().IsZero() {
		t.Errorf("%v %v", err, s.LastTime())
	}
	if got := ids(t, s, "eu-west-1"); got != "vpc-1" {
		t.Errorf("got %q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir, file string)
		want    error
		text    string
	}{
		{"another version", func(t *testing.T, _, file string) { t.Helper(); setVersion(t, file, "0") }, state.ErrVersion, `version "0"`},
		{"no version", func(t *testing.T, _, file string) { t.Helper(); setVersion(t, file, "") }, state.ErrVersion, ""},
		{"garbage", func(t *testing.T, _, file string) {
			t.Helper()
			write(t, file, []byte(strings.Repeat("garbage!", 10000)))
		}, state.ErrDamaged, ""},
		{"cut off", func(t *testing.T, _, file string) {
			t.Helper()
			if err := os.Truncate(file, 8192); err != nil {
				t.Fatal(err)
			}
		}, state.ErrDamaged, ""},
		{"zeroed pages", zeroPages, state.ErrDamaged, ""},
		{"a row that is no record", func(t *testing.T, _, file string) {
			t.Helper()
			inFile(t, file, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("records")).Bucket([]byte("eu-west-1")).Bucket([]byte("VPCs")).Put([]byte("vpc-2"), []byte("{"))
			})
		}, state.ErrDamaged, "VPCs vpc-2 in eu-west-1"},
		{"no records", func(t *testing.T, _, file string) {
			t.Helper()
			inFile(t, file, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("records")) })
		}, state.ErrDamaged, ""},
		{"a strange time", func(t *testing.T, _, file string) {
			t.Helper()
			inFile(t, file, func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("clock"), []byte("noon")) })
		}, state.ErrDamaged, "noon"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			put(t, s, "eu-west-1", "vpc-1")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c.prepare(t, dir, filepath.Join(dir, "records.db"))
			_, err := state.Open(dir, clock.NewVirtual(epoch))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("got %v", err)
			}
			if err := state.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := open(t, dir).Close(); err != nil {
				t.Error(err)
			}
		})
	}
	write(t, file, nil)
	if _, err := state.Open(filepath.Join(file, "x"), clock.Real{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a folder below a file: %v", err)
	}
	if err := state.Remove(t.TempDir()); err != nil {
		t.Errorf("nothing to remove: %v", err)
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := state.Open(dir, clock.Real{}); !errors.Is(err, state.ErrInUse) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

// What could not be kept is not forgotten: the caller learns of it, every time.
func TestSyncFails(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.BreakFile(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "eu-west-1", "vpc-1")
	for range 2 {
		if err := s.Sync(); err == nil {
			t.Error("kept without a file")
		}
	}
}

// A record that was changed behind the store's back is found.
func TestVerify(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "eu-west-1", "vpc-1")
	if err := s.Verify(); err != nil {
		t.Fatal(err)
	}
	_ = s.View("eu-west-1", func(r *state.Region) error {
		r.VPCs.Get("vpc-1").CidrBlock = aws.String("10.0.0.0/16")
		return nil
	})
	if err := s.Verify(); err == nil || !strings.Contains(err.Error(), "eu-west-1 VPCs vpc-1") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Every table of a region is kept.
func TestNoTableIsForgotten(t *testing.T) {
	var want []string
	for f := range reflect.TypeFor[state.Region]().Fields() {
		if strings.HasPrefix(f.Type.Name(), "Table[") {
			want = append(want, f.Name)
		}
	}
	if got := new(state.Region).Tables(); len(want) == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// zeroPages leaves the two first pages, which say where the others are, and makes zeros of the others, as a power failure may.
func zeroPages(t *testing.T, _, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	clear(content[2*os.Getpagesize():])
	write(t, file, content)
}

func setVersion(t *testing.T, file, version string) {
	t.Helper()
	inFile(t, file, func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("version"), []byte(version)) })
}

func inFile(t *testing.T, file string, f func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	durable, err := state.Open(b.TempDir(), clock.NewVirtual(epoch))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = durable.Close() })
	for name, s := range map[string]*state.Store{"memory": state.New(clock.NewVirtual(epoch)), "durable": durable} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = s.Update("eu-west-1", func(r *state.Region) error {
					r.Instances.Put("i-1", &state.Instance{})
					return nil
				})
				if err := s.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
