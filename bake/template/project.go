package template

import (
	"cmp"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/iibake/iibake/bake"
)

// Project is iibake.yaml, complete, and the image templates that it names. Its tags are explained in bake/template.go.
type Project struct {
	Version   int                `yaml:"version" required:"true" enum:"1" doc:"version of the file format"`
	Catalog   string             `yaml:"catalog" default:".iibake" doc:"where the record of all images is kept: a folder, or s3://bucket/prefix for one that machines share; disks stay where they were baked"`
	Store     string             `yaml:"store" example:".iibake/store" doc:"folder of the disks' blocks; the folder store in the catalog if absent"`
	Templates []string           `yaml:"templates" required:"true" example:"images/*.yaml" doc:"image templates, by patterns of paths in the repository"`
	Targets   map[string]Target  `yaml:"targets" keys:"name" example:"{ eu: { region: eu-west-1 } }" doc:"places where images are published and run"`
	Fleets    map[string]Fleet   `yaml:"fleets" keys:"name" example:"{ web-eu: { target: eu, auto_scaling_group: web } }" doc:"groups of machines that run an image"`
	Channels  map[string]Channel `yaml:"channels" keys:"name" example:"{ staging: {} }" doc:"movable names of images; candidate, the newest that passed its tests, is always there"`

	Dir    string          `yaml:"-"` // absolute path of the repository
	Images []bake.Template `yaml:"-"` // by the order of templates, and of file names in each

	given map[string]places // what the files say, to tell it from defaults
}

// Target is a place where images are published and run: at least one of Endpoint and Region.
type Target struct {
	Endpoint string `yaml:"endpoint" anyof:"place" format:"endpoint" example:"local" doc:"local for the embedded cloud, or the address of something that speaks AWS; AWS if absent, by AWS_ENDPOINT_URL where that is set"`
	Region   string `yaml:"region" anyof:"place" format:"region" example:"eu-west-1" doc:"AWS region; eu-west-1 if absent and endpoint is there"`
	RoleARN  string `yaml:"role_arn" format:"role" example:"arn:aws:iam::111122223333:role/iibake" doc:"role to assume in the account"`
}

// endpointRegion is where iibake local puts what does not say where it belongs.
const endpointRegion = "eu-west-1"

// Candidate is the channel that an image enters by passing its tests. Every project has it.
const Candidate = "candidate"

// CatalogAddress returns where the catalog is: the absolute path of a folder, or s3://bucket/prefix.
func (p *Project) CatalogAddress() string {
	if inBucket(p.Catalog) {
		return p.Catalog
	}
	return p.abs(p.Catalog)
}

// WorkDir returns the absolute path of the folder for what belongs to this machine, such as locks and downloads: that of the catalog, or one in the
// repository where the catalog is in a bucket.
func (p *Project) WorkDir() string {
	if inBucket(p.Catalog) {
		return p.abs(homeFolder)
	}
	return p.abs(p.Catalog)
}

// homeFolder is the folder of a catalog in a bucket that is at hand.
const homeFolder = ".iibake"

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
	for name, t := range p.Targets {
		if t.Endpoint != "" && t.Region == "" {
			t.Region = endpointRegion
			p.Targets[name] = t
		}
	}
	for name, f := range p.Fleets {
		f.setDelay()
		p.Fleets[name] = f
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
		catalog = homeFolder
	}
	return filepath.ToSlash(filepath.Join(catalog, "store"))
}

// checkCatalog refuses what would become a folder with the name of a bucket.
func (p *Project) checkCatalog(d *decoder) {
	scheme := regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):/*`).FindStringSubmatch(p.Catalog)
	switch {
	case strings.HasPrefix(p.Catalog, "s3://") || scheme == nil && !inBucket(p.Catalog):
	case scheme != nil && strings.EqualFold(scheme[1], "s3"):
		d.failOnce("catalog", "\"catalog\" cannot be "+quote(p.Catalog), "write s3://"+cmp.Or(p.Catalog[len(scheme[0]):], "bucket/prefix"))
	default:
		d.failOnce("catalog", "\"catalog\" cannot be "+quote(p.Catalog), "write the path of a folder, or s3://bucket/prefix")
	}
}

func (p *Project) check(d *decoder) {
	p.checkCatalog(d)
	if inBucket(p.Store) {
		d.failOnce("store", "\"store\" cannot be "+quote(p.Store), "write the path of a folder")
	}
	for _, name := range sortedKeys(p.Fleets) {
		p.checkFleet(d, "fleets."+name, p.Fleets[name])
	}
	for _, name := range sortedKeys(p.Channels) {
		p.checkChannel(d, name)
	}
}
