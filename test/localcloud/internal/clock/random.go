package clock

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
)

// Random returns the random numbers in [0, 1) of the nth thing that goes by a name. They depend on nothing else: the same
// run gets the same numbers, whatever else happens at the same time.
func Random(seed uint64, name string, nth int) func() float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.FormatUint(seed, 10) + "\x00" + name + "\x00" + strconv.Itoa(nth)))
	return rand.New(rand.NewPCG(h.Sum64(), 0)).Float64 //nolint:gosec // repeatable on purpose: it decides about a simulation, not about secrets
}
