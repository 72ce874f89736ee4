package template

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
)

// Project is iibake.yaml, complete, and the image templates that it names. Its tags are explained in bake/template.go.
type Project struct {
	Version   int                `yaml:"version" required:"true" enum:"1" doc:"version of the file format"`
	Catalog   string             `yaml:"catalog" default:".iibake" doc:"where the record of all images is kept: a folder, or s3://bucket/prefix"`
	Store     string             `yaml:"store" example:".iibake/store" doc:"folder of the disks' blocks; the folder store in the catalog if absent"`
	Templates []string           `yaml:"templates" required:"true" example:"images/*.yaml" doc:"image templates, by patterns of paths in the repository"`
	Targets   map[string]Target  `yaml:"targets" keys:"name" example:"{ eu: { region: eu-west-1 } }" doc:"places where images are published and run"`
	Fleets    map[string]Fleet   `yaml:"fleets" keys:"name" example:"{ web-eu: { target: eu, auto_scaling_group: web } }" doc:"groups of machines that run an image"`
	Channels  map[string]Channel `yaml:"channels" keys:"name" example:"{ staging: {} }" doc:"movable names of images; candidate, the newest that passed its tests, is always there"`

	Dir    string          `yaml:"-"` // absolute path of the repository
	Images []bake.Template `yaml:"-"` // by the order of templates, and of file names in each

	given map[string]places // what the files say, to tell it from defaults
}

// Target is a place where images are published and run: exactly one of Endpoint and Region.
type Target struct {
	Endpoint string `yaml:"endpoint" oneof:"place" format:"endpoint" example:"local" doc:"local for the embedded cloud, or the address of something that speaks AWS"`
	Region   string `yaml:"region" oneof:"place" format:"region" example:"eu-west-1" doc:"AWS region"`
	RoleARN  string `yaml:"role_arn" format:"role" example:"arn:aws:iam::111122223333:role/iibake" doc:"role to assume in the account"`
}

// Fleet is an Auto Scaling group and its launch template.
type Fleet struct {
	Target           string  `yaml:"target" required:"true" format:"name" example:"eu" doc:"name of a target"`
	AutoScalingGroup string  `yaml:"auto_scaling_group" required:"true" format:"line" example:"web" doc:"name of the Auto Scaling group"`
	Refresh          Refresh `yaml:"refresh" doc:"how its machines are replaced"`
}

// Refresh is how the machines of a fleet are replaced: the preferences of an EC2 Auto Scaling instance refresh.
type Refresh struct {
	MinHealthy      int           `yaml:"min_healthy" default:"100" min:"0" max:"100" doc:"percentage of the group that stays healthy"`
	MaxHealthy      int           `yaml:"max_healthy" default:"110" min:"100" max:"200" doc:"percentage of the group that there may be; at most 100 more than min_healthy"`
	Checkpoints     []int         `yaml:"checkpoints" min:"1" max:"100" example:"10, 50, 100" doc:"percentages to pause at, ascending, the last one 100"`
	CheckpointDelay bake.Duration `yaml:"checkpoint_delay" max:"2d" example:"5m" doc:"how long to pause at a checkpoint; an hour if absent"`
	Soak            bake.Duration `yaml:"soak" max:"2d" example:"10m" doc:"how long to watch before the refresh counts as done"`
	Alarms          []string      `yaml:"alarms" format:"line" example:"web-5xx" doc:"CloudWatch alarms that stop the refresh"`
	AutoRollback    bool          `yaml:"auto_rollback" doc:"go back to the image before when the refresh fails"`
}

// Channel is a movable name for one image of each template.
type Channel struct {
	After     string        `yaml:"after" format:"name" example:"staging" doc:"channel that an image must have been in before"`
	Age       bake.Duration `yaml:"age" example:"24h" doc:"how long it must have been there"`
	Approvals int           `yaml:"approvals" min:"1" max:"100" example:"1" doc:"how many people must agree"`
	Waves     [][]string    `yaml:"waves" format:"name" example:"web-canary" doc:"fleets that follow the channel, in groups that move together"`
	Soak      bake.Duration `yaml:"soak" example:"15m" doc:"how long to watch after each wave"`
}

// Candidate is the channel that an image enters by passing its tests. Every project has it.
const Candidate = "candidate"

// maxHealthySpan is how far apart EC2 Auto Scaling lets the percentages of a refresh be.
const maxHealthySpan = 100

// CatalogDir returns the absolute path of the catalog, or an error wrapping [bake.ErrInvalid] where it is no folder.
func (p *Project) CatalogDir() (string, error) {
	if inBucket(p.Catalog) {
		return "", Error{p.given[projectFile].at("catalog"), "a catalog in S3 is not in this release of iibake", "write the path of a folder, for example .iibake"}
	}
	return p.abs(p.Catalog), nil
}

// StoreDir returns the absolute path of the block store.
func (p *Project) StoreDir() string { return p.abs(p.Store) }

func (p *Project) abs(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(p.Dir, name)
}

func inBucket(address string) bool { return strings.Contains(address, "://") }

// complete sets what is absent and checks what can be checked without the templates.
func (p *Project) complete(d *decoder) {
	defaults(d.tables, d.given, p)
	if p.Store == "" {
		p.Store = defaultStore(p.Catalog)
	}
	if p.Channels == nil {
		p.Channels = map[string]Channel{}
	}
	if _, ok := p.Channels[Candidate]; !ok {
		p.Channels[Candidate] = Channel{}
	}
	p.check(d)
}

// defaultStore keeps the blocks beside the record, or at hand where the record is far away.
func defaultStore(catalog string) string {
	if inBucket(catalog) {
		catalog = ".iibake"
	}
	return filepath.ToSlash(filepath.Join(catalog, "store"))
}

func (p *Project) check(d *decoder) {
	if inBucket(p.Catalog) && !strings.HasPrefix(p.Catalog, "s3://") {
		d.failOnce("catalog", "\"catalog\" cannot be "+quote(p.Catalog), "write the path of a folder, or s3://bucket/prefix")
	}
	if inBucket(p.Store) {
		d.failOnce("store", "\"store\" cannot be "+quote(p.Store), "write the path of a folder")
	}
	for _, name := range sortedKeys(p.Targets) {
		if t := p.Targets[name]; t.Endpoint == "local" && t.RoleARN != "" {
			d.failOnce("targets."+name+".role_arn", "the embedded cloud has no roles", "remove role_arn")
		}
	}
	for _, name := range sortedKeys(p.Fleets) {
		p.checkFleet(d, "fleets."+name, p.Fleets[name])
	}
	for _, name := range sortedKeys(p.Channels) {
		p.checkChannel(d, name)
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
	if r.CheckpointDelay > 0 && len(r.Checkpoints) == 0 {
		d.failOnce(path+".checkpoint_delay", "checkpoint_delay has no effect without checkpoints", "add checkpoints, or remove it")
	}
}

func ascending(list []int) bool {
	return slices.IsSorted(list) && len(slices.Compact(slices.Clone(list))) == len(list)
}

func (p *Project) checkChannel(d *decoder, name string) {
	c, path := p.Channels[name], "channels."+name
	if c.After != "" {
		p.checkAfter(d, name, c.After)
	}
	if c.Age > 0 && c.After == "" {
		d.failOnce(path+".age", "age has no effect without after", "add after, or remove it")
	}
	seen := map[string]bool{}
	for i, wave := range c.Waves {
		if len(wave) == 0 {
			d.failOnce(path+".waves["+strconv.Itoa(i)+"]", "a wave without fleets", "write the names of fleets, or remove it")
		}
		for j, fleet := range wave {
			at := path + ".waves[" + strconv.Itoa(i) + "][" + strconv.Itoa(j) + "]"
			if _, ok := p.Fleets[fleet]; !ok && fleet != "" {
				d.failOnce(at, "no fleet is named "+quote(fleet), didYouMean(fleet, sortedKeys(p.Fleets), "declare it under fleets"))
			}
			if seen[fleet] {
				d.failOnce(at, "the fleet "+quote(fleet)+" is in the waves twice", "keep one of them")
			}
			seen[fleet] = true
		}
	}
}

// checkAfter follows the channels before a channel: they must exist and come to an end.
func (p *Project) checkAfter(d *decoder, name, after string) {
	at := "channels." + name + ".after"
	if name == Candidate {
		d.failOnce(at, "an image enters candidate by passing its tests, not from another channel", "remove after")
		return
	}
	if _, ok := p.Channels[after]; !ok {
		d.failOnce(at, "no channel is named "+quote(after), didYouMean(after, sortedKeys(p.Channels), "declare it under channels"))
		return
	}
	circle := []string{name}
	for before := after; before != "" && len(circle) <= len(p.Channels); before = p.Channels[before].After {
		if circle = append(circle, before); before == name && name == slices.Min(circle) { // each circle once
			d.failOnce(at, "channels go round in a circle: "+strings.Join(circle, " → "), "let one of them come after nothing")
			return
		}
	}
}
