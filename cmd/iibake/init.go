package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/templates"
)

func initCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "write a working project into a folder", Category: categoryProject, ArgsUsage: "[FOLDER]",
		Description: "Files that are there already stay as they are. The project has two images, one on top of the other, their tests,\n" +
			"and a CI workflow with a nightly build. --template begins with another one:\n" + starters(),
		Flags: []cli.Flag{&cli.StringFlag{Name: "template", Usage: "begin with `NAME` instead"}},
		Action: func(c *cli.Context) error {
			args, err := operands(c, "FOLDER...")
			if err != nil {
				return err
			}
			if len(args) > 1 {
				return fmt.Errorf("%w: %s: want one folder, got %d", errUsage, c.Command.HelpName, len(args))
			}
			files, err := projectFiles(c.String("template"))
			if err != nil {
				return err
			}
			dir := c.String("dir")
			if len(args) > 0 && filepath.IsAbs(args[0]) {
				dir = ""
			}
			return initProject(con, filepath.Join(append([]string{dir}, args...)...), files)
		},
	}
}

func starters() string {
	var b strings.Builder
	for _, s := range templates.Starters() {
		fmt.Fprintf(&b, "   %s\t%s\n", s.Name, s.About)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func projectFiles(name string) (fs.FS, error) {
	if name == "" {
		return templates.Project(), nil
	}
	return templates.Named(name)
}

func initProject(con *console, dir string, files fs.FS) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	p := con.paint(con.out)
	wrote := 0
	err := writeNew(dir, files, func(name string, isNew bool) error {
		if !isNew {
			return con.printf("%s\n", p.Dim("kept  "+name))
		}
		wrote++
		return con.printf("%s %s\n", p.Good("wrote"), name)
	})
	if err != nil {
		return err
	}
	if wrote == 0 {
		return con.printf("everything is there already\n")
	}
	return con.printf("\nnext:\n%s", nextSteps(p, dir))
}

// writeNew writes those files that dir does not have, and tells of each whether it was one.
func writeNew(dir string, files fs.FS, tell func(name string, isNew bool) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return root.MkdirAll(name, 0o755)
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		switch err := create(root, name, body); {
		case errors.Is(err, fs.ErrExist):
			return tell(name, false)
		case err != nil:
			return err
		}
		return tell(name, true)
	})
}

// create writes a file that does not exist yet, or nothing.
func create(root *os.Root, name string, body []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(body); err != nil {
		return errors.Join(err, f.Close(), root.Remove(name))
	}
	return f.Close()
}

func nextSteps(p ui.Paint, dir string) string {
	var steps []string
	if dir != "." {
		steps = append(steps, "cd "+dir)
	}
	if !inRepository(dir) {
		steps = append(steps, "git init")
	}
	steps = append(steps, "git add . && git commit -m 'Describe our images'", "sudo iibake build")
	return "   " + p.Bold(strings.Join(steps, "\n   ")) + "\n"
}

// inRepository reports whether a folder of git lies in dir or above.
func inRepository(dir string) bool {
	at, err := filepath.Abs(dir)
	for ; err == nil; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			return true
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return false
}
