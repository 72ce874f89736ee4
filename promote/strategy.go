package promote

import "github.com/iibake/iibake/bake"

// Strategy is how a fleet's instances are replaced: the preferences of an EC2 Auto Scaling instance refresh, and what iibake adds.
type Strategy struct {
	Kind            Kind          `json:"kind"`
	MinHealthy      int           `json:"min_healthy"` // percentage of the desired capacity
	MaxHealthy      int           `json:"max_healthy"` // percentage of the desired capacity
	Canary          bool          `json:"canary"`      // the first checkpoint is one instance, alone until it is healthy
	Checkpoints     []int         `json:"checkpoints,omitempty"`
	CheckpointDelay bake.Duration `json:"checkpoint_delay,omitempty"`
	Warmup          bake.Duration `json:"warmup,omitempty"` // that of the group where it is 0
	Soak            bake.Duration `json:"soak,omitempty"`   // AWS says bake time
	Alarms          []string      `json:"alarms,omitempty"`
	AutoRollback    bool          `json:"auto_rollback,omitempty"`
	SkipMatching    bool          `json:"skip_matching,omitempty"`
	Protected       string        `json:"protected,omitempty"` // refresh, ignore or wait; empty: none may be protected
	Standby         string        `json:"standby,omitempty"`   // terminate, ignore or wait; empty: none may be in standby
	Probes          []Probe       `json:"probes,omitempty"`    // made at each checkpoint and at the end
}

// Kind is the strategy of an instance refresh.
type Kind string

// The kinds of instance refresh.
const (
	Rolling           Kind = "rolling"
	ReplaceRootVolume Kind = "replace_root_volume"
)

// Probe is a question whose answer says whether a fleet is well: exactly one of HTTP and Command.
type Probe struct {
	HTTP     string        `json:"http,omitempty"`     // address that must answer with Status
	Status   int           `json:"status,omitempty"`   // default 200
	Contains string        `json:"contains,omitempty"` // text that the body must contain
	Command  []string      `json:"command,omitempty"`  // program and arguments; status 0 is well
	Timeout  bake.Duration `json:"timeout,omitempty"`  // of one try; default 10s
	Tries    int           `json:"tries,omitempty"`    // of which one must succeed; default 3
}

// Member is a fleet of a channel, as iibake.yaml has it.
type Member struct {
	Name     string   `json:"name"`
	Target   string   `json:"target"`
	Group    string   `json:"group"` // name of the Auto Scaling group
	Image    string   `json:"image"` // name of the image that it runs
	Strategy Strategy `json:"strategy"`
}
