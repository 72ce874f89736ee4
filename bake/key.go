package bake

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
)

// recipe is part of every bake key. It goes up when iibake itself does something different for the same template, so that
// images of older releases count as out of date.
const recipe = 1

// Keys are the digests that a bake is cached by. They are known before anything is baked.
type Keys struct {
	Root  Digest   // of the source
	Steps []Digest // of the source and the steps up to and with this one
	Files []Digest // for each step what [Template.StepFiles] returns
	Bake  Digest   // of everything that decides the content: the bake key
}

// Keys returns the keys of t for what its source was resolved to. It reads every file that the template names.
func (t Template) Keys(source Resolution) (Keys, error) {
	inputs, err := source.Inputs()
	if err != nil {
		return Keys{}, err
	}
	root, err := DigestJSON(struct {
		Recipe   int
		Arch     Arch
		Debian   *Debian
		DiskSize Size
		Inputs   Digest
	}{recipe, t.Arch, t.Source.Debian, t.DiskSize, inputs})
	if err != nil {
		return Keys{}, err
	}
	keys := Keys{Root: root, Bake: root}
	env := map[string]Value{}
	for _, s := range t.Steps {
		files, err := t.StepFiles(s)
		if err != nil {
			return Keys{}, err
		}
		if s.Kind() == StepEnv {
			maps.Copy(env, s.Env)
		}
		s.Name = "" // what people call it decides nothing
		s.Timeout = 0
		keys.Bake, err = DigestJSON(struct {
			Before, Files Digest
			Env           map[string]Value
			Step          Step
		}{keys.Bake, files, env, s})
		if err != nil {
			return Keys{}, err
		}
		keys.Steps, keys.Files = append(keys.Steps, keys.Bake), append(keys.Files, files)
	}
	return keys, nil
}

// StepFiles returns the digest of what a step of t reads from the repository, or "" where it reads nothing.
func (t Template) StepFiles(s Step) (d Digest, err error) {
	switch {
	case s.Copy != nil:
		d, err = TreeDigest(t.Dir, s.Copy.From)
	case s.Script != nil:
		d, err = TreeDigest(t.Dir, s.Script.File)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.Pos, err)
	}
	return d, nil
}

// TreeDigest returns the digest of a file or a tree below dir: names, contents, executable bits and the targets of symbolic
// links, but no times and owners and nothing called .git, as git sees it. A link that name itself is or leads through is followed, but not out of
// dir; a link in the tree is not.
func TreeDigest(dir, name string) (Digest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	h := sha256.New()
	if err := writeTree(h, root, path.Clean(name)); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return NewDigest([sha256.Size]byte(h.Sum(nil))), nil
}

// writeTree writes a line for every file of a tree, or one for a single file.
func writeTree(w io.Writer, root *os.Root, name string) error {
	info, err := root.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return writeFile(w, root, name, "", info)
	}
	tree, err := root.OpenRoot(name)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	return fs.WalkDir(tree.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == gitName {
			return skip(d)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return writeFile(w, tree, p, p, info)
	})
}

// gitName is where git keeps a history: a folder, or in submodules and linked work trees a file. Steps do not copy it.
const gitName = ".git"

// skip tells [fs.WalkDir] to pass over an entry, and over what is in it.
func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func writeFile(w io.Writer, root *os.Root, name, as string, info fs.FileInfo) error {
	what, err := describeFile(root, name, info)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%q %s\n", as, what)
	return err
}

func describeFile(root *os.Root, name string, info fs.FileInfo) (string, error) {
	switch {
	case info.IsDir():
		return "dir", nil
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		return fmt.Sprintf("link %q", target), err
	case info.Mode().IsRegular():
		f, err := root.Open(name)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		sum, err := DigestReader(f)
		return fmt.Sprintf("file %v %s", info.Mode()&0o111 != 0, sum), err
	}
	return "", errors.New(name + " is neither a file nor a folder nor a link: remove it")
}
