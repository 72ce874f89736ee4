package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
)

// Fleet is an Auto Scaling group and its launch template.
type Fleet struct {
	Target           string  `yaml:"target" required:"true" format:"name" example:"eu" doc:"name of a target"`
	AutoScalingGroup string  `yaml:"auto_scaling_group" required:"true" format:"line" example:"web" doc:"name of the Auto Scaling group"`
	Image            string  `yaml:"image" format:"image" example:"web" doc:"name of the image that it runs; the project's only one that no other starts from if absent"`
	Refresh          Refresh `yaml:"refresh" doc:"how its machines are replaced"`
}

// Refresh is how the machines of a fleet are replaced: the preferences of an EC2 Auto Scaling instance refresh, and what iibake adds.
type Refresh struct {
	Strategy        string        `yaml:"strategy" default:"rolling" enum:"rolling,replace_root_volume" doc:"new machines for old ones, or a new root volume for each"`
	MinHealthy      int           `yaml:"min_healthy" default:"100" min:"0" max:"100" doc:"percentage of the group that stays healthy"`
	MaxHealthy      int           `yaml:"max_healthy" default:"110" min:"100" max:"200" doc:"percentage of the group that there may be; at most 100 more than min_healthy"`
	Canary          bool          `yaml:"canary" default:"true" doc:"replace one machine alone first, and go on when it is healthy"`
	Checkpoints     []int         `yaml:"checkpoints" min:"1" max:"100" example:"10, 50, 100" doc:"percentages to pause at, ascending, the last one 100"`
	CheckpointDelay bake.Duration `yaml:"checkpoint_delay" min:"1s" max:"2d" example:"15m" doc:"how long to pause at a checkpoint; 5m if absent"`
	Warmup          bake.Duration `yaml:"warmup" max:"1d" example:"2m" doc:"how long a new machine takes until it counts; that of the group if absent"`
	Soak            bake.Duration `yaml:"soak" max:"2d" example:"10m" doc:"how long to watch before the refresh counts as done"`
	Alarms          []string      `yaml:"alarms" format:"line" example:"web-5xx" doc:"CloudWatch alarms that stop the refresh"`
	AutoRollback    bool          `yaml:"auto_rollback" default:"true" doc:"have AWS go back to the image before when the refresh fails"`
	SkipMatching    bool          `yaml:"skip_matching" default:"true" doc:"leave machines alone that have the image already"`
	Protected       string        `yaml:"protected" enum:"refresh,ignore,wait" doc:"what to do with machines that are protected from scale in; a rollout is refused if absent and there are any"`
	Standby         string        `yaml:"standby" enum:"terminate,ignore,wait" doc:"what to do with machines in standby; a rollout is refused if absent and there are any"`
	Probes          []Probe       `yaml:"probes" example:"{ http: https://example.org/health }" doc:"questions that are asked at each checkpoint and at the end; a wrong answer ends the rollout"`
}

// Probe is a question whose answer says whether a fleet is well: exactly one of HTTP and Command.
type Probe struct {
	HTTP     string        `yaml:"http" oneof:"probe" format:"url" example:"https://example.org/health" doc:"address that is asked for"`
	Status   int           `yaml:"status" min:"100" max:"599" example:"200" doc:"status of the answer; 200 if absent"`
	Contains string        `yaml:"contains" example:"ok" doc:"text that is in the answer"`
	Command  []string      `yaml:"command" oneof:"probe" scalar:"true" example:"scripts/probe.sh" doc:"program and arguments, run in the repository; status 0 is well"`
	Timeout  bake.Duration `yaml:"timeout" default:"10s" min:"1s" max:"10m" doc:"how long one try may take"`
	Tries    int           `yaml:"tries" default:"3" min:"1" max:"100" doc:"how many tries there are, of which one must succeed"`
}

// maxHealthySpan is how far apart EC2 Auto Scaling lets the percentages of a refresh be.
const maxHealthySpan = 100

// checkpointDelay is how long a refresh pauses by default. AWS's own hour is long for a canary that everybody has.
const checkpointDelay = bake.Duration(5 * time.Minute)

// setDelay sets the pause at checkpoints, where there are any.
func (f *Fleet) setDelay() {
	if r := &f.Refresh; r.CheckpointDelay == 0 && (r.Canary || len(r.Checkpoints) > 0) {
		r.CheckpointDelay = checkpointDelay
	}
}

func (p *Project) checkFleet(d *decoder, path string, f Fleet) {
	if _, ok := p.Targets[f.Target]; !ok && f.Target != "" {
		d.failOnce(path+".target", "no target is named "+quote(f.Target), didYouMean(f.Target, sortedKeys(p.Targets), "declare it under targets"))
	}
	r, path := f.Refresh, path+".refresh"
	if r.MaxHealthy-r.MinHealthy > maxHealthySpan {
		d.failOnce(path+".min_healthy", fmt.Sprintf("max_healthy is %d and min_healthy %d", r.MaxHealthy, r.MinHealthy), "keep them at most 100 apart")
	}
	if n := len(r.Checkpoints); n > 0 && (!ascending(r.Checkpoints) || r.Checkpoints[n-1] != 100) {
		d.failOnce(path+".checkpoints", "the checkpoints do not go up to 100", "write them ascending, the last one 100, for example [10, 50, 100]")
	}
	if r.CheckpointDelay > 0 && len(r.Checkpoints) == 0 && !r.Canary {
		d.failOnce(path+".checkpoint_delay", "checkpoint_delay has no effect without checkpoints", "add checkpoints, or remove it")
	}
	checker{d}.unique(path+".alarms", r.Alarms)
	for i, probe := range r.Probes {
		checkProbe(d, path+".probes["+strconv.Itoa(i)+"]", probe)
	}
}

func checkProbe(d *decoder, path string, p Probe) {
	if p.Command == nil {
		return
	}
	if len(p.Command) == 0 {
		d.failOnce(path+".command", "\"command\" is empty", "write a program and its arguments, for example [scripts/probe.sh]")
	}
	for key, given := range map[string]bool{"status": p.Status != 0, "contains": p.Contains != ""} {
		if given && p.HTTP == "" {
			d.failOnce(path+"."+key, key+" has no effect on a command", "remove it: the status of the command is the answer")
		}
	}
}

func ascending(list []int) bool {
	return slices.IsSorted(list) && len(slices.Compact(slices.Clone(list))) == len(list)
}

// checkFleetImages sees to the image of every fleet, which is that of the project where there is only one.
func (l *loader) checkFleetImages(p *Project) {
	leaves, names := leafImages(p.Images)
	for _, name := range sortedKeys(p.Fleets) {
		f, at := p.Fleets[name], l.given[projectFile].at("fleets."+name)
		switch _, given := l.given[projectFile]["fleets."+name+".image"]; {
		case given && f.Image != "" && !slices.Contains(names, f.Image):
			l.fail(l.given[projectFile].at("fleets."+name+".image"), "no image is named "+quote(f.Image), didYouMean(f.Image, names, "name one of the templates"))
		case given:
		case len(leaves) == 1:
			f.Image = leaves[0]
			p.Fleets[name] = f
		case len(leaves) > 1:
			l.fail(at, fmt.Sprintf("%s does not say which image it runs", quote(name)), "add the key image: one of "+strings.Join(leaves, ", "))
		}
	}
}

// leafImages returns the names of the images that no other one starts from, and those of all, sorted.
func leafImages(images []bake.Template) (leaves, names []string) {
	parents := map[string]bool{}
	for _, t := range images {
		parents[t.ParentName()] = true
		names = append(names, t.Name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !parents[name] {
			leaves = append(leaves, name)
		}
	}
	return leaves, names
}
