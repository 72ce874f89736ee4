// Package fault makes the cloud fail as the real one does: throttling, errors, latency, lost answers, hangs, and windows in which what was
// done is not yet seen.
package fault
