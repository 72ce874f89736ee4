package state_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// childFolder names the folder in which this program is to change records until it is killed.
const childFolder = "STATE_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		fmt.Fprintln(os.Stderr, changeForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

var regions = []string{"eu-west-1", "us-east-1"}

// changeForEver changes records in a way that [consistent] can judge, and tells the number of every change that is on record.
func changeForEver(dir string) error {
	s, err := state.Open(dir, clock.Real{})
	if err != nil {
		return err
	}
	if err := consistent(s); err != nil {
		return err
	}
	last, err := counter(s)
	if err != nil {
		return err
	}
	for n := last + 1; ; n++ {
		for _, region := range regions {
			err := s.Update(region, func(r *state.Region) error { return change(r, n) })
			if err != nil {
				return err
			}
		}
		if rand.IntN(3) > 0 { // the others are kept by the next one, or by themselves
			if err := s.Sync(); err != nil {
				return err
			}
			fmt.Println(n)
		}
	}
}

// change moves instances in and out of a group. The group, its instances and the counter always agree.
func change(r *state.Region, n int) error {
	key := state.Key("1", "web")
	if r.Groups.Get(key) == nil {
		r.Groups.Put(key, &state.Group{})
	}
	g := r.Groups.Edit(key)
	for range rand.IntN(40) {
		id := "i-" + strconv.Itoa(rand.IntN(100))
		if r.Instances.Get(id) == nil {
			r.Instances.Put(id, &state.Instance{Group: "web", UserData: strings.Repeat("x", rand.IntN(4000))})
		} else {
			r.Instances.Delete(id)
		}
	}
	g.Instances = nil
	for id := range r.Instances.All() {
		g.Instances = append(g.Instances, astypes.Instance{InstanceId: aws.String(id)})
	}
	r.Parameters.Put(state.Key("1", "counter"), &state.Parameter{Name: strconv.Itoa(n)})
	return nil
}

func counter(s *state.Store) (n int, err error) {
	err = s.View(regions[0], func(r *state.Region) error {
		if p := r.Parameters.Get(state.Key("1", "counter")); p != nil {
			n, err = strconv.Atoi(p.Name)
		}
		return err
	})
	return n, err
}

func consistent(s *state.Store) error {
	for _, region := range regions {
		err := s.View(region, func(r *state.Region) error {
			g := r.Groups.Get(state.Key("1", "web"))
			if g == nil {
				return nil
			}
			if len(g.Instances) != r.Instances.Len() {
				return fmt.Errorf("%s: the group has %d instances, and there are %d", region, len(g.Instances), r.Instances.Len())
			}
			for _, in := range g.Instances {
				if r.Instances.Get(aws.ToString(in.InstanceId)) == nil {
					return fmt.Errorf("%s: %s is in the group only", region, aws.ToString(in.InstanceId))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A process that is killed at any moment leaves each region as it was between two changes, with everything that was on record.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for range 50 {
		told := killedChild(t, dir)
		s := open(t, dir)
		if err := consistent(s); err != nil {
			t.Fatal(err)
		}
		if n, err := counter(s); err != nil || n < told {
			t.Fatalf("change %d was on record, and the last one that is left is %d: %v", told, n, err)
		}
		if err := errors.Join(s.Verify(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// killedChild runs a child for a while, kills it, and returns the last number that it told.
func killedChild(t *testing.T, dir string) (told int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childFolder+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := rand.IntN(30) + 1; n > 0 && lines.Scan(); n-- {
		told, _ = strconv.Atoi(lines.Text())
	}
	time.Sleep(rand.N(2 * time.Millisecond))
	_ = child.Process.Kill()
	for lines.Scan() {
		told, _ = strconv.Atoi(lines.Text())
	}
	if err := child.Wait(); err == nil || told == 0 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return told
}
