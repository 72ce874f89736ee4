package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

// variableFlags override the variables of templates.
func variableFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "var", Usage: "set a variable: `NAME=VALUE` (also: IIBAKE_VAR_NAME)"},
		&cli.StringSliceFlag{Name: "var-file", Usage: "set the variables in `FILE`, a YAML mapping of names to values"},
	}
}

// loadProject reads the project that the command is used in, with every template.
func loadProject(c *cli.Context) (*template.Project, error) {
	dir, err := template.Find(c.String("dir"))
	if err != nil {
		return nil, err
	}
	vars := map[string]string{}
	for _, v := range c.StringSlice("var") {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%w: --var %s: want NAME=VALUE", errUsage, v)
		}
		vars[name] = value
	}
	return template.Load(dir, template.Options{Vars: vars, VarFiles: c.StringSlice("var-file"), Environ: os.Environ()})
}

// record is a catalog with its views, and the folders that belong to it.
type record struct {
	dir      string // of the catalog, or of what belongs to this machine where that is in a bucket
	storeDir string
	shared   *bucketCatalog // the catalog in a bucket; nil for one in a folder
	catalog  catalog.Catalog
	images   bake.Images
	verdicts test.Verdicts
	channels promote.Channels
}

// openRecord opens the catalog that --catalog names, or else the one of the project. Templates are not read: one that is
// broken keeps nobody from looking at what was built.
func openRecord(c *cli.Context) (*record, error) {
	if c.String("catalog") != "" {
		return recordOf(c, nil)
	}
	p, err := loadSettings(c.String("dir"))
	if err != nil {
		return nil, err
	}
	return recordOf(c, p)
}

// loadSettings reads the settings of the project around a folder, and no template.
func loadSettings(folder string) (*template.Project, error) {
	dir, err := template.Find(folder)
	if err != nil {
		return nil, err
	}
	return template.LoadSettings(dir)
}

// recordOf opens the catalog that --catalog names, or else the one of p.
func recordOf(c *cli.Context, p *template.Project) (*record, error) {
	if address := c.String("catalog"); address != "" {
		return openAddress(c, address, p)
	}
	if address := p.CatalogAddress(); !isAddress(address) {
		return openDir(address, p.StoreDir())
	}
	return openAddress(c, p.CatalogAddress(), p)
}

// openAddress opens the catalog at an address; p is nil where no project is needed.
func openAddress(c *cli.Context, address string, p *template.Project) (*record, error) {
	if isAddress(address) {
		return openShared(c, address, p)
	}
	return openDir(address, filepath.Join(address, "store"))
}

func openDir(dir, storeDir string) (*record, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c, err := catalog.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return newRecord(c, dir, storeDir), nil
}

func newRecord(c catalog.Catalog, dir, storeDir string) *record {
	return &record{
		dir: dir, storeDir: storeDir, catalog: c,
		images: bake.NewImages(c), verdicts: test.NewVerdicts(c), channels: promote.NewChannels(c),
	}
}

// store opens the block store. It must be closed.
func (r *record) store() (*disk.Store, error) { return disk.Open(r.storeDir) }

// work is the folder of the local builder: locks, downloads and scratch files.
func (r *record) work() string { return filepath.Join(r.dir, "work") }

// buildLock is the file that stands for one build of an image, from its source to the channel.
func (r *record) buildLock(name string) string {
	return filepath.Join(r.work(), "builds", name+".lock")
}

// prepare makes the folder of the catalog. It tells git to look away: a catalog must not make the work tree dirty.
func (r *record) prepare() error {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return fmt.Errorf("make catalog: %w", err)
	}
	ignore := filepath.Join(r.dir, ".gitignore")
	if _, err := os.Stat(ignore); err == nil {
		return nil
	}
	if err := os.WriteFile(ignore, []byte("# written by iibake\n*\n"), 0o644); err != nil {
		return fmt.Errorf("make catalog: %w", err)
	}
	return nil
}
