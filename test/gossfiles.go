package test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
)

const (
	gossFilesMax = 8 << 20           // bytes of the goss file and what it includes
	gossDepth    = 50                // as goss has it
	anything     = "IIBAKE-ANYTHING" // stands for an action of a template; means nothing to YAML
)

// gossFiles returns the goss file of a template and the files that it includes, and those that they include, by their
// paths in the repository.
func gossFiles(t bake.Template) (map[string][]byte, error) {
	if t.Tests.Goss == "" {
		return nil, nil //nolint:nilnil // a template without a goss file has no files
	}
	root, err := os.OpenRoot(t.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	c := gossCollector{fsys: root.FS(), files: map[string][]byte{}}
	if err := c.add(path.Clean(t.Tests.Goss), gossDepth); err != nil {
		return nil, fmt.Errorf("goss file of %s: %w", t.Name, err)
	}
	return c.files, nil
}

type gossCollector struct {
	fsys  fs.FS
	files map[string][]byte
	size  int
}

func (c *gossCollector) add(name string, depth int) error {
	if c.files[name] != nil || depth == 0 {
		return nil
	}
	body, err := fs.ReadFile(c.fsys, name)
	if err != nil {
		return err
	}
	if c.size += len(body); c.size > gossFilesMax {
		return errors.New("it and the files that it includes are larger than 8 MiB")
	}
	c.files[name] = body
	patterns, err := included(body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, p := range patterns {
		names, err := fs.Glob(c.fsys, path.Join(path.Dir(name), p))
		if err != nil {
			return fmt.Errorf("%s: gossfile %s: %w", name, p, err)
		}
		for _, n := range names { // where there are none goss says so
			if err := c.add(n, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// included returns the patterns of the files that a goss file includes. A goss file is a template that only the guest can
// fill in, so that each action in a path may stand for anything, and lines of nothing but actions are left out.
func included(body []byte) ([]string, error) {
	alone := regexp.MustCompile(`(?m)^\s*({{[^}]*}}\s*)+$`)
	action := regexp.MustCompile(`{{[^}]*}}`)
	text := action.ReplaceAll(alone.ReplaceAll(body, nil), []byte(anything))
	var doc struct {
		Gossfile map[string]struct {
			File string `yaml:"file"`
		} `yaml:"gossfile"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		if action.Match(body) {
			return nil, nil // what remains of the template need not be YAML
		}
		return nil, err
	}
	var patterns []string
	for name, g := range doc.Gossfile {
		if g.File != "" {
			name = g.File
		}
		if !strings.HasPrefix(name, "/") { // absolute: a file of the guest
			patterns = append(patterns, strings.ReplaceAll(name, anything, "*"))
		}
	}
	return patterns, nil
}
