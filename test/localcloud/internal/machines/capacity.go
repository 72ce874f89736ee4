package machines

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// errCapacity is wrapped when the host has no room for another machine.
var errCapacity = errors.New("insufficient capacity")

const (
	overhead = 512 * bake.MiB // of QEMU besides the memory of the guest, most of it code of the guest that it has translated
	share    = 0.75           // of the host's memory that machines may take
	spare    = 256 * bake.MiB // of what is free that is left to the host
)

// budget is the room on the host.
type budget struct {
	*sync.Mutex
	most  int       // instances; 0 for any number
	limit bake.Size // 0 where the host does not tell
	total bake.Size
	free  func() bake.Size // now
	used  map[string]bake.Size
}

func newBudget(c Config) (budget, error) {
	total, _, err := hostMemory()
	b := budget{Mutex: new(sync.Mutex), most: c.MaxInstances, total: total, used: map[string]bake.Size{}, free: func() bake.Size {
		_, free, _ := hostMemory()
		return free
	}}
	b.limit = cmp.Or(c.Memory, bake.Size(float64(total)*share))
	return b, err
}

// memoryOf returns the memory that an instance gets.
func (d *Driver) memoryOf(s compute.Spec) bake.Size {
	if most := d.c.InstanceMemory; most > 0 {
		return min(most, s.Memory)
	}
	return s.Memory
}

// reserve takes the room for an instance, or says what is missing.
func (b *budget) reserve(s compute.Spec, memory bake.Size) error {
	b.Lock()
	defer b.Unlock()
	if b.most > 0 && len(b.used) >= b.most {
		return fmt.Errorf("%w: %d instances run, which is the most that this cloud was told to run: stop one, or start it with a higher --max-instances",
			errCapacity, len(b.used))
	}
	var taken bake.Size
	for _, size := range b.used {
		taken += size
	}
	need := memory + overhead
	if b.limit > 0 && taken+need > b.limit {
		return fmt.Errorf("%w: %s needs %s of memory, but of the %s of this host instances may take %s, and the %d that run have %s: "+
			"stop one, choose a smaller instance type, or start the cloud with more --memory",
			errCapacity, s.Type, gib(need), gib(b.total), gib(b.limit), len(b.used), gib(taken))
	}
	if free := b.free(); free > 0 && need+spare > free {
		return fmt.Errorf("%w: %s needs %s of memory, but of the %s of this host only %s are free: end other programs, or choose a smaller instance type",
			errCapacity, s.Type, gib(need), gib(b.total), gib(free))
	}
	b.used[s.ID] = need
	return nil
}

func (b *budget) release(id string) {
	b.Lock()
	defer b.Unlock()
	delete(b.used, id)
}

func gib(s bake.Size) string { return fmt.Sprintf("%.1f GiB", float64(s)/float64(bake.GiB)) }

// hostMemory returns the memory of this host and what of it is free. Where there is no /proc both are 0.
func hostMemory() (total, free bake.Size, err error) {
	f, err := os.Open("/proc/meminfo")
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("memory of this host: %w", err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(field[1], 10, 64)
		switch field[0] {
		case "MemTotal:":
			total = bake.Size(n) * bake.KiB
		case "MemAvailable:":
			free = bake.Size(n) * bake.KiB
		}
	}
	return total, free, nil
}
