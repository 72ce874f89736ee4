package promote

import (
	"slices"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
)

// Ask is what a survey of one target is about.
type Ask struct {
	Target     string
	Groups     []string            // names of Auto Scaling groups
	Moving     []string            // those of Groups that have a refresh, as far as anybody knows: they come first
	AMIs       map[string][]string // by region: those whose instances outside of Groups are wanted, the most wanted first
	Parameters []string            // names of SSM parameters
	Still      bool                // refreshes are not asked for
	Versions   map[string]string   // AMIs of launch template versions that are on record, by [VersionKey]
}

// VersionKey names one version of a launch template in [Ask].
func VersionKey(template, version string) string { return template + ":" + version }

// Survey is what exists where a target is, at one moment. What could not be looked at stands in Gaps, and everything else is true
// nevertheless.
type Survey struct {
	Target     string                  `json:"target"`
	Account    string                  `json:"account,omitempty"` // empty where its credentials do not work
	Region     string                  `json:"region,omitempty"`
	Groups     map[string]Group        `json:"groups,omitempty"` // those that exist, by name
	Templates  map[string]TemplateInfo `json:"templates,omitempty"`
	Strays     []Instance              `json:"strays,omitempty"`     // that run one of the wanted AMIs, outside of the groups that were asked for
	AMIs       map[string]bool         `json:"amis,omitempty"`       // whether instances can be launched from those that groups use; nil where nobody knows
	Parameters map[string]string       `json:"parameters,omitempty"` // values of those that exist; nil where nobody knows
	Gaps       []Gap                   `json:"gaps,omitempty"`
	Calls      int                     `json:"calls"` // of AWS that it took
}

// Gap is a part of a survey that is missing.
type Gap struct {
	Part  Part   `json:"part"`
	Error string `json:"error"`
}

// Part is what a survey consists of.
type Part string

// The parts of a survey.
const (
	PartAccount    Part = "account"          // all of it: the account cannot be reached
	PartGroups     Part = "groups"           // and with them everything that is known of fleets
	PartInstances  Part = "instances"        // what instances were launched from, and those outside of groups
	PartTemplates  Part = "launch templates" // their latest and default versions
	PartImages     Part = "images"           // whether AMIs are still there
	PartRefreshes  Part = "refreshes"        // instance refreshes
	PartParameters Part = "parameters"       // SSM parameters
)

// Group is an Auto Scaling group as it is.
type Group struct {
	Name      string     `json:"name"`
	Desired   int        `json:"desired"`         // instances, or the weight that they have together
	Current   []Launch   `json:"current"`         // what its next instances are launched from; their AMI is empty where nobody knows
	Mixed     bool       `json:"mixed,omitempty"` // by a mixed instances policy
	Instances []Instance `json:"instances"`
	Refresh   *Refresh   `json:"refresh,omitempty"` // that runs now; nil where there is none, or none was found
	Asked     bool       `json:"asked,omitempty"`   // whether AWS was asked for its refreshes: without that, Refresh is nil
}

// Instance is a machine in EC2.
type Instance struct {
	ID       string    `json:"id"`
	AMI      string    `json:"ami,omitempty"`      // that its root volume has; empty where nobody knows
	Template string    `json:"template,omitempty"` // id of the launch template
	Version  string    `json:"version,omitempty"`  // of the launch template
	Group    string    `json:"group,omitempty"`    // Auto Scaling group; empty for one that was started by hand
	Healthy  bool      `json:"healthy"`            // in service and healthy
	Weight   int       `json:"weight,omitempty"`   // that it has in its group, where instances have weights
	Leaving  bool      `json:"leaving,omitempty"`  // on its way out
	Launched time.Time `json:"launched,omitzero"`
}

// TemplateInfo is what aliases of a launch template's versions mean now.
type TemplateInfo struct {
	Name    string `json:"name"`
	Default string `json:"default"`           // number
	Latest  string `json:"latest"`            // number
	Rollout string `json:"rollout,omitempty"` // that made a version last, by its tag; empty where no tag says so
}

// Refresh is an instance refresh that runs.
type Refresh struct {
	ID        string    `json:"id,omitempty"` // empty where it is only known from the record of its rollout
	State     State     `json:"state"`
	Percent   int       `json:"percent"`             // counts down on the way back
	Estimated bool      `json:"estimated,omitempty"` // by the instances of the group: AWS was not asked
	Foreign   bool      `json:"foreign,omitempty"`   // iibake did not start it
	Reason    string    `json:"reason,omitempty"`
	Since     time.Time `json:"since,omitzero"`
}

// missing returns why a part of the survey is not there, or nothing where it is.
func (s Survey) missing(parts ...Part) string {
	for _, g := range s.Gaps {
		if slices.Contains(parts, g.Part) {
			return g.Error
		}
	}
	return ""
}

// lost returns why nothing is known of the groups of the target, or nothing where something is.
func (s Survey) lost() string { return s.missing(PartAccount, PartGroups) }

// Place names where the survey is of, for people: its target, account and region.
func (s Survey) Place() string { return strings.TrimSpace(s.Account + " " + s.Region) }

// running counts the instances of a group by what they run, most first.
func (g Group) running(images map[string]bake.Ref) []Version {
	counts := map[string]int{}
	for _, in := range g.Instances {
		if !in.Leaving {
			counts[in.AMI]++
		}
	}
	var all []Version
	for ami, n := range counts {
		all = append(all, Version{AMI: ami, Image: imageOf(images, ami), Instances: n})
	}
	slices.SortFunc(all, func(a, b Version) int {
		if a.Instances != b.Instances {
			return b.Instances - a.Instances
		}
		return strings.Compare(a.AMI, b.AMI)
	})
	return all
}

// healthy counts the instances that are in service and healthy, in the unit of Desired.
func (g Group) healthy() int {
	n := 0
	for _, in := range g.Instances {
		if in.Healthy {
			n += max(1, in.Weight)
		}
	}
	return n
}

// imageOf returns the image that an AMI is, or nil for one that iibake did not make.
func imageOf(images map[string]bake.Ref, ami string) *bake.Ref {
	if ref, ok := images[ami]; ok {
		return &ref
	}
	return nil
}
