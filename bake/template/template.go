// Package template reads what a user writes: iibake.yaml, the project, and the image templates that it names.
//
// [Load] is strict. What it returns is complete (variables filled in, defaults set, every named file found in the
// repository), and what is wrong it reports all at once, each error with its place and with what to write instead.
// The keys of the files, what they mean and what they may hold is said once, by the tags of the structs that they are
// decoded into ([Project] here, [bake.Template] in bake); the decoder, the defaults, [Show] and [Schema] all read those.
//
// A project holds no secrets, only where to find them: they are read when a step runs, never here.
package template

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/iibake/iibake/bake"
)

// projectFile is the file that makes a folder a project.
const projectFile = "iibake.yaml"

// Options is what overrides the variables of templates, in rising precedence: Environ, VarFiles, Vars.
type Options struct {
	Environ  []string          // as [os.Environ]: IIBAKE_VAR_name=value sets the variable name where a template has it
	VarFiles []string          // paths of YAML files that map names to values; a later one beats an earlier one
	Vars     map[string]string // name → value
}

// Find returns the nearest folder, from dir upwards, that holds iibake.yaml. Its error wraps [bake.ErrNotFound].
func Find(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := start; ; at = filepath.Dir(at) {
		info, err := os.Stat(filepath.Join(at, projectFile))
		if err == nil && info.Mode().IsRegular() {
			return at, nil
		}
		if at == filepath.Dir(at) {
			if _, err := os.Stat(start); errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("folder %s: %w", start, bake.ErrNotFound)
			}
			return "", fmt.Errorf("%s in %s or a folder above: %w: run iibake init to begin a project", projectFile, start, bake.ErrNotFound)
		}
	}
}

// Load reads the project in dir, the folder that holds iibake.yaml. Mistakes in the files and in the options come back as
// [Errors], which wraps [bake.ErrInvalid]; any other error is about reading dir.
func Load(dir string, o Options) (*Project, error) {
	return read(dir, func(l *loader) *Project { return l.load(o) })
}

// LoadSettings reads iibake.yaml as [Load] does, and no template: Images is empty, and a broken template is no error. It is
// for those who only want to know where things are.
func LoadSettings(dir string) (*Project, error) {
	return read(dir, func(l *loader) *Project {
		p := l.project()
		if p != nil {
			p.given = l.given
		}
		return p
	})
}

// read has a loader read files of the project in dir.
func read(dir string, load func(*loader) *Project) (*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open project: %w", err)
	}
	defer func() { _ = root.Close() }()
	if _, err := root.Stat(projectFile); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s in %s: %w: run iibake init to begin a project", projectFile, dir, bake.ErrNotFound)
	}
	l := &loader{dir: dir, root: root, tables: tables{}, forms: forms{}, given: map[string]places{}}
	p := load(l)
	if len(l.errs) > 0 {
		return nil, l.errs.sorted()
	}
	return p, nil
}

// loader is one call of Load or LoadSettings. It gathers errors and never stops at one.
type loader struct {
	dir    string // absolute
	root   *os.Root
	tables tables
	forms  forms
	given  map[string]places // by file
	errs   Errors
}

func (l *loader) load(o Options) *Project {
	p := l.project()
	overrides := l.overrides(o)
	if p == nil {
		return nil // without it nobody knows which templates there are
	}
	declared := map[string]bool{}
	whole := true // every file could be read far enough to know its variables
	for _, name := range l.templateFiles(p) {
		t := l.template(name, overrides)
		if t == nil {
			whole = false
			continue
		}
		p.Images = append(p.Images, *t)
		for v := range t.Vars {
			declared[v] = true
		}
	}
	if whole {
		l.errs = append(l.errs, overrides.unknown(slices.Sorted(maps.Keys(declared)))...)
	}
	l.checkImages(p)
	if whole {
		l.checkFleetImages(p)
		l.checkParameters(p)
	}
	p.given = l.given
	return p
}

// decoder returns a decoder for a file of the repository.
func (l *loader) decoder(file string) *decoder {
	d := newDecoder(file, l.tables)
	d.root, d.forms = l.root, l.forms
	l.given[file] = d.given
	return d
}

// keep takes over the errors of d, once all its work is done.
func (l *loader) keep(d *decoder) { l.errs = append(l.errs, d.errs...) }

// project reads iibake.yaml. It returns nil where nothing of it is known.
func (l *loader) project() *Project {
	p := &Project{Dir: l.dir}
	d := l.decoder(projectFile)
	defer l.keep(d)
	root := d.parse(l.read(projectFile))
	if root == nil || !d.readable(root) {
		return nil
	}
	d.tree(root, p)
	p.complete(d)
	return p
}

// template reads one image template. It returns nil where nothing of it is known.
func (l *loader) template(name string, o overrides) *bake.Template {
	d := l.decoder(name)
	defer l.keep(d)
	root := d.parse(l.read(name))
	if root == nil || !d.readable(root) {
		return nil
	}
	t := &bake.Template{Dir: l.dir, File: name}
	d.vars = d.declared(root, l.dir, o)
	d.tree(root, t)
	t.Pos = d.given.at("name")
	if len(d.vars) > 0 {
		t.Vars = d.vars
	}
	completeTemplate(d, t)
	return t
}

// templateFiles returns the files that the patterns of the project match, each once, in the order of the patterns.
func (l *loader) templateFiles(p *Project) []string {
	var files []string
	for i, pattern := range p.Templates {
		if pattern == "" {
			continue // the decoder has said so
		}
		pos := l.given[projectFile].at("templates[" + strconv.Itoa(i) + "]")
		names, problem := l.glob(pattern)
		if problem != "" {
			l.fail(pos, fmt.Sprintf("the pattern %s %s", quote(pattern), problem), "write one such as images/*.yaml, from the root of the repository")
			continue
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == projectFile })
		before := len(files)
		for _, name := range names {
			if !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
		switch {
		case len(names) == 0:
			l.fail(pos, fmt.Sprintf("no file matches %s", quote(pattern)), "create one, or remove the pattern")
		case len(files) == before:
			l.fail(pos, fmt.Sprintf("what matches %s matches an earlier pattern, too", quote(pattern)), "remove one of the two")
		}
	}
	return files
}
