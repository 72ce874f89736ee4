package bake

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// StepKind names what a [Step] does; it is the step's key in the template.
type StepKind string

// The kinds of steps.
const (
	StepApt      StepKind = "apt"
	StepDnf      StepKind = "dnf"
	StepPackages StepKind = "packages"
	StepCopy     StepKind = "copy"
	StepScript   StepKind = "script"
	StepRun      StepKind = "run"
	StepEnv      StepKind = "env"
	StepUser     StepKind = "user"
)

// Step is one provisioning action: exactly one of Apt, Dnf, Packages, Copy, Script, Run and User, or Env alone.
// Beside Apt, Dnf, Packages, Script and Run, Env holds for that step only; alone it holds for every later step.
// Nothing of Env is written to the image.
type Step struct {
	Name     string           `yaml:"name" json:"name,omitempty" format:"line" example:"harden" doc:"what people call this step"`
	Apt      *Packages        `yaml:"apt" json:"apt,omitempty" oneof:"kind" doc:"packages, by apt-get"`
	Dnf      *Packages        `yaml:"dnf" json:"dnf,omitempty" oneof:"kind" doc:"packages, by dnf"`
	Packages *Packages        `yaml:"packages" json:"packages,omitempty" oneof:"kind" doc:"packages, by the package manager that the image has"`
	Copy     *Copy            `yaml:"copy" json:"copy,omitempty" oneof:"kind" example:"{ from: site/, to: /var/www/html/ }" doc:"a file or a tree from the repository"`
	Script   *Script          `yaml:"script" json:"script,omitempty" oneof:"kind" example:"scripts/harden.sh" doc:"a program from the repository, run as root in the image"`
	Run      string           `yaml:"run" json:"run,omitempty" oneof:"kind" example:"systemctl enable nginx" doc:"shell commands, run by sh -e as root in the image"`
	User     *User            `yaml:"user" json:"user,omitempty" oneof:"kind" example:"deploy" doc:"a user"`
	Env      map[string]Value `yaml:"env" json:"env,omitempty" oneof:"kind,alone" keys:"env" example:"{ LEVEL: strict }" doc:"environment variables while the image is built"`
	Timeout  Duration         `yaml:"timeout" json:"timeout,omitempty" default:"1h" min:"1s" doc:"limit for this step"`

	Pos Position `yaml:"-" json:"-"`
}

// Packages is a change to the set of installed packages. In a template a plain list means Install.
type Packages struct {
	Install    []string `yaml:"install" json:"install,omitempty" short:"true" format:"package" example:"nginx" doc:"packages to install; apt also takes name=version"`
	Remove     []string `yaml:"remove" json:"remove,omitempty" format:"package" example:"nano" doc:"packages to remove with their configuration"`
	Upgrade    bool     `yaml:"upgrade" json:"upgrade,omitempty" doc:"first bring every installed package up to date"`
	Recommends bool     `yaml:"recommends" json:"recommends,omitempty" doc:"also install what the packages recommend"`
}

// Copy is a file or a tree that moves from the repository into the image.
type Copy struct {
	From  string   `yaml:"from" json:"from" required:"true" path:"any" example:"site/" doc:"path in the repository; a trailing slash means the content of the folder"`
	To    string   `yaml:"to" json:"to" required:"true" format:"absolute" example:"/var/www/html/" doc:"absolute path in the image; a trailing slash means into this folder"`
	Mode  FileMode `yaml:"mode" json:"mode,omitempty" min:"0001" example:"0644" doc:"permission bits of the files in octal, for example 0644; those of the repository if absent"`
	Owner string   `yaml:"owner" json:"owner" default:"root:root" format:"owner" doc:"user:group by name or number, as the image knows them"`
}

// Script is a program of the repository that runs in the image. In a template a plain text means File.
type Script struct {
	File string   `yaml:"file" json:"file" required:"true" short:"true" path:"file" example:"scripts/harden.sh" doc:"path in the repository; its first line says the interpreter, else sh runs it"`
	Args []string `yaml:"args" json:"args,omitempty" scalar:"true" example:"--strict" doc:"arguments"`
}

// User is an account in the image. In a template a plain text means Name.
type User struct {
	Name   string   `yaml:"name" json:"name" required:"true" short:"true" format:"user" example:"deploy" doc:"login name"`
	UID    *int     `yaml:"uid" json:"uid,omitempty" min:"1" max:"65533" example:"900" doc:"numeric user id"`
	System bool     `yaml:"system" json:"system,omitempty" doc:"a system account: no password, no ageing, no home unless given"`
	Home   string   `yaml:"home" json:"home,omitempty" format:"absolute" example:"/srv/app" doc:"absolute path of the home directory"`
	Shell  string   `yaml:"shell" json:"shell,omitempty" format:"absolute" example:"/bin/bash" doc:"absolute path of the login shell"`
	Groups []string `yaml:"groups" json:"groups,omitempty" format:"user" example:"docker" doc:"further groups; made if they do not exist"`
	Keys   []string `yaml:"ssh_keys" json:"ssh_keys,omitempty" format:"ssh-key" example:"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@example.org" doc:"public keys that may log in"`
	Sudo   bool     `yaml:"sudo" json:"sudo,omitempty" doc:"may become root without a password"`
}

// Value is the value of an environment variable: a text, or a secret that is read when the step runs.
// In a template it is a text, ${{ vars.NAME }} for a whole secret, or a mapping with the key secret.
type Value struct {
	Text   string  `yaml:"-" json:"text,omitempty" short:"true" scalar:"true" example:"strict" doc:"the value itself"`
	Secret *Secret `yaml:"secret" json:"secret,omitempty" required:"true" example:"{ env: TOKEN }" doc:"where to find the value at run time"`
}

// Resolve returns the value. For a secret it reads the environment or the file now.
func (v Value) Resolve() (string, error) {
	switch {
	case v.Secret == nil:
		return v.Text, nil
	case v.Secret.Env != "":
		s, ok := os.LookupEnv(v.Secret.Env)
		if !ok {
			return "", fmt.Errorf("%w: secret: environment variable %s is not set", ErrInvalid, v.Secret.Env)
		}
		return s, nil
	default:
		name := v.Secret.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(v.Secret.Dir, name)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("%w: secret: %w", ErrInvalid, err)
		}
		return strings.TrimSuffix(string(b), "\n"), nil
	}
}

// Kind returns what the step does, or "" for a step that does nothing.
func (s Step) Kind() StepKind {
	switch {
	case s.Apt != nil:
		return StepApt
	case s.Dnf != nil:
		return StepDnf
	case s.Packages != nil:
		return StepPackages
	case s.Copy != nil:
		return StepCopy
	case s.Script != nil:
		return StepScript
	case s.Run != "":
		return StepRun
	case s.User != nil:
		return StepUser
	case s.Env != nil:
		return StepEnv
	}
	return ""
}

// Title returns what people see of the step: its name, or its kind and the first words of what it does.
func (s Step) Title() string {
	if s.Name != "" {
		return s.Name
	}
	kind := s.Kind()
	return strings.TrimSpace(string(kind) + " " + shorten(s.gist(kind), 48))
}

func (s Step) gist(kind StepKind) string {
	switch kind {
	case StepApt:
		return s.Apt.gist()
	case StepDnf:
		return s.Dnf.gist()
	case StepPackages:
		return s.Packages.gist()
	case StepCopy:
		return s.Copy.From + " → " + s.Copy.To
	case StepScript:
		return strings.Join(append([]string{s.Script.File}, s.Script.Args...), " ")
	case StepRun:
		first, _, _ := strings.Cut(strings.TrimSpace(s.Run), "\n")
		return first
	case StepUser:
		return s.User.Name
	case StepEnv:
		return ""
	}
	return ""
}

func (p *Packages) gist() string {
	words := p.Install
	if p.Upgrade {
		words = append([]string{"upgrade"}, words...)
	}
	for _, name := range p.Remove {
		words = append(slices.Clip(words), "-"+name)
	}
	return strings.Join(words, " ")
}

// shorten cuts s to at most n runes, the last of them an ellipsis.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
