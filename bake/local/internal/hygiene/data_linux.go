package hygiene

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// nextData returns the first offset from at on that is not in a hole, or the largest there is. It moves the offset of f,
// which nobody uses.
func nextData(f *os.File, at int64) (int64, error) {
	next, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return math.MaxInt64, nil
	case err != nil:
		return 0, fmt.Errorf("look for holes: %w", err)
	}
	return next, nil
}
