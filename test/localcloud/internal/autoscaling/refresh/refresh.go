// Package refresh decides what an instance refresh does next: which instances it replaces when, and what it says of itself. It is a pure
// function of what a refresh remembers and of what its group looks like, so that its promises can be tested over any history.
//
// The times are those of recordings of the service (single samples, seen every 5 to 10 seconds), and the texts where marked; what no recording
// shows follows the user guide of EC2 Auto Scaling, and what neither shows is marked as inferred.
package refresh

import (
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

const (
	// Interval is how often a refresh looks at its group while it waits for something. Recorded: after a termination began at +87 s the
	// percentage rose by +100 s, and the wait after the instance was gone at +108 s ended at +117 s.
	Interval = 10 * time.Second
	// HealthInterval is how long a replacement is in service until its health counts, whatever the warm-up. Recorded: in service at +16.7 s, the
	// old instance was terminated at +87 s.
	HealthInterval = 70 * time.Second
	// RollbackHealthInterval is the same in a rollback. Recorded: launched at +3 s, the other instance was terminated at +90 s.
	RollbackHealthInterval = 80 * time.Second
	// RollbackDelay is the time from the request for a rollback to its first launch. Recorded: 3 s.
	RollbackDelay = 3 * time.Second
	// RollbackSettle is how long a rollback waits when all is done. Recorded: terminated by +123 s at the latest, successful at +139 s.
	RollbackSettle = 20 * time.Second
	// CancelDelay is the time from Cancelling to Cancelled where nothing is waited for. Recorded: 5 s.
	CancelDelay = 5 * time.Second
	// Patience is how long a refresh goes on without progress before it fails. Documented for protected instances and those in standby; inferred
	// for everything else.
	Patience = time.Hour
	// maxWait is how long a refresh may leave its group unwatched.
	maxWait = 30 * time.Second
)

// Preferences are those of the request, with all defaults filled in.
type Preferences struct {
	MinHealthy      int // percent
	MaxHealthy      int // percent; 0 where it was not given, which is not the same as 100
	Warmup          time.Duration
	Checkpoints     []int // percent, ascending
	CheckpointDelay time.Duration
	Bake            time.Duration
	Protected       astypes.ScaleInProtectedInstances
	Standby         astypes.StandbyInstances
	Rollback        bool // roll back instead of failing
	InPlace         bool // replace root volumes instead of instances
}

// Progress is what a refresh remembers.
type Progress struct {
	Status   astypes.InstanceRefreshStatus
	Reason   string
	Started  time.Time // zero while it is pending
	Ended    time.Time // zero until it has
	Percent  int
	ToUpdate int

	Next       time.Time // when it looks again; before, nothing but an alarm moves it
	Size       int       // desired capacity when it looked last
	Total      int       // most instances that there ever were to update
	Checkpoint int       // percentage of the last checkpoint that was reached
	Resume     time.Time // when the delay of the checkpoint, the bake time or the settling of a rollback ends
	Least      int       // fewest instances that there were left to update
	Moved      time.Time // when there was progress last
	Wait       bool      // a cancelled one waits for launches and terminations
	Rollback   *Rollback
}

// Rollback is what is told of a rollback.
type Rollback struct {
	Reason   string
	Started  time.Time // zero until it did anything
	Percent  int       // at its start
	ToUpdate int       // at its start
}

// Phase is where an instance is in its life.
type Phase int

// The phases of an instance.
const (
	Pending Phase = iota
	InService
	Standby
	Replacing // of its root volume
	Terminating
)

// Instance is what a refresh sees of an instance of its group.
type Instance struct {
	ID        string
	Zone      string
	Phase     Phase
	Healthy   bool
	Since     time.Time // when it came into service
	Updated   bool      // has what the refresh, or its rollback, wants
	Protected bool      // from scale in
	NoData    string    // the health check that has not judged it yet: Amazon EC2, Elastic Load Balancing; empty where all have
}

// Fleet is what a refresh sees of its group.
type Fleet struct {
	Now       time.Time
	Desired   int
	Instances []Instance // oldest first
	Paused    string     // the suspended process that keeps it from acting, or empty
	Refused   string     // why the last launch failed, while launches are not tried again; or empty
	Alarm     string     // name of an alarm of the refresh that is in ALARM, or empty
}

// Actions is what a refresh does now.
type Actions struct {
	Launch    int      // instances
	Terminate []string // ids
	Replace   []string // ids of instances that get a new root volume
}

// Active reports whether a refresh with this status is not at its end.
func Active(s astypes.InstanceRefreshStatus) bool {
	switch s {
	case astypes.InstanceRefreshStatusPending, astypes.InstanceRefreshStatusInProgress, astypes.InstanceRefreshStatusBaking,
		astypes.InstanceRefreshStatusCancelling, astypes.InstanceRefreshStatusRollbackInProgress:
		return true
	case astypes.InstanceRefreshStatusSuccessful, astypes.InstanceRefreshStatusFailed, astypes.InstanceRefreshStatusCancelled,
		astypes.InstanceRefreshStatusRollbackFailed, astypes.InstanceRefreshStatusRollbackSuccessful:
	}
	return false
}

// Replaces reports whether a refresh with this status has instances launched and terminated.
func Replaces(s astypes.InstanceRefreshStatus) bool {
	return s == astypes.InstanceRefreshStatusInProgress || s == astypes.InstanceRefreshStatusRollbackInProgress
}
