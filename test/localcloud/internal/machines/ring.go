package machines

import (
	"bytes"
	"sync"
)

const consoleSize = 64 << 10 // bytes that EC2 shows

// ring keeps the end of what is written to it.
type ring struct {
	mu   sync.Mutex
	kept []byte
}

// Write never fails.
func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, p...)
	if len(r.kept) > 2*consoleSize {
		r.kept = bytes.Clone(r.kept[len(r.kept)-consoleSize:])
	}
	return len(p), nil
}

func (r *ring) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.kept[max(0, len(r.kept)-consoleSize):])
}
