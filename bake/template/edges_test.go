package template_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

// TestAtTheEdge: what is just allowed loads.
func TestAtTheEdge(t *testing.T) {
	t.Parallel()
	const fleet = small + "targets: { t: { region: eu-west-1 } }\nfleets: { f: { target: t, auto_scaling_group: g, refresh: { %s } } }\n"
	whole := web + "# " + strings.Repeat("x", 256<<10-len(web)-3) + "\n"
	for name, c := range map[string]struct{ iibake, image string }{
		"a name of 64 letters":                  {small, strings.Replace(web, "web", strings.Repeat("a", 64), 1)},
		"the smallest Debian":                   {small, web + "disk_size: 1GiB\n"},
		"the smallest disk":                     {small, "version: 1\nname: web\nsource: { disk: web.yaml }\ndisk_size: 64MiB\n"},
		"a disk of its own size":                {small, "version: 1\nname: web\nsource: { disk: web.yaml }\n"},
		"a parameter of one image":              {small + "channels: { x: { parameter: /a } }\n", web},
		"percentages 100 apart":                 {fmt.Sprintf(fleet, "min_healthy: 50, max_healthy: 150"), web},
		"a delay for checkpoints":               {fmt.Sprintf(fleet, "canary: false, checkpoints: [100], checkpoint_delay: 1s"), web},
		"a delay for the canary":                {fmt.Sprintf(fleet, "checkpoint_delay: 1s"), web},
		"a file of 256 KiB":                     {small, whole},
		"a freeze over the end of the week":     {small + "channels: { x: { freeze: [{ from: Sun 23:59, until: Sun 00:00 }] } }\n", web},
		"a freeze of a minute":                  {small + "channels: { x: { freeze: [{ from: 2026-01-01 00:00, until: 2026-01-01 00:01 }] } }\n", web},
		"a channel after one that is not first": {small + "channels: { c: { after: b }, b: { after: a }, a: { after: candidate } }\n", web},
		"a wave behind a wave":                  {fmt.Sprintf(fleet, "") + "channels: { x: { waves: [[f]] } }\n", web},
		"only a package to remove":              {small, web + "steps: [{ apt: { remove: [nano] } }]\n"},
		"only an upgrade":                       {small, web + "steps: [{ apt: { upgrade: true } }]\n"},
		"root's keys":                           {small, web + "steps: [{ user: { name: root, ssh_keys: [ssh-ed25519 AAAA], groups: [adm], shell: /bin/sh } }]\n"},
		"a slash at the end of to":              {small, web + "steps: [{ copy: { from: web.yaml, to: /srv/ } }]\n"},
		"a dollar and braces":                   {small, web + "steps: [{ run: '$$ {{ x }} $${{ y }} ${z}' }]\n"},
		"an empty variable in a text":           {small, web + "vars: { a: '' }\nsteps: [{ run: 'x${{ vars.a }}' }]\n"},
	} {
		if _, err := template.Load(project(t, c.iibake, c.image), template.Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := template.Load(project(t, small, whole+"x"), template.Options{})
	if err == nil || err.Error() != "web.yaml:1:1: the file is larger than 256 KiB: keep large content in files of its own and name them here" {
		t.Errorf("a byte more: %v", err)
	}
}

// TestProjectIsNoTemplate: iibake.yaml never counts as a template, and each template counts once, in the order of the patterns.
func TestProjectIsNoTemplate(t *testing.T) {
	t.Parallel()
	dir := project(t, "version: 1\ntemplates: [web.yaml, '*.yaml', 'sub/*.y?ml']\n", web)
	for _, name := range []string{"b.yaml", "a.yaml", "sub/d.yaml", "sub/c.yyml"} {
		write(t, dir, name, strings.Replace(web, "web", strings.NewReplacer("/", "-", ".", "-").Replace(name), 1))
	}
	var files []string
	for _, image := range load(t, dir).Images {
		files = append(files, image.File)
	}
	if have, want := strings.Join(files, " "), "web.yaml a.yaml b.yaml sub/c.yyml sub/d.yaml"; have != want {
		t.Errorf("have %s, want %s", have, want)
	}
	if _, err := template.Load(project(t, "version: 1\ntemplates: [iibake.yaml]\n", web), template.Options{}); err == nil || !strings.Contains(err.Error(), `no file matches "iibake.yaml"`) {
		t.Errorf("the project alone: %v", err)
	}
}

// TestFindTakesFilesOnly: a folder of that name is no project.
func TestFindTakesFilesOnly(t *testing.T) {
	t.Parallel()
	dir := project(t, small, web)
	inner := filepath.Join(dir, "inner")
	if err := os.MkdirAll(filepath.Join(inner, "iibake.yaml", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{inner, filepath.Join(inner, "iibake.yaml"), filepath.Join(inner, "iibake.yaml", "deep"), filepath.Join(dir, "nothing", "such")} {
		if found, err := template.Find(from); err != nil || found != dir {
			t.Errorf("from %s: found %s, %v", from, found, err)
		}
	}
	if _, err := template.Load(inner, template.Options{}); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "iibake.yaml:1:1: cannot read the file: this is no regular file") {
		t.Errorf("a folder as a project: %v", err)
	}
}

// TestDefaultsThatDependOnOthers pins what is filled in where it hangs on another key.
func TestDefaultsThatDependOnOthers(t *testing.T) {
	t.Parallel()
	for refresh, want := range map[string]time.Duration{
		"":                                      5 * time.Minute, // there is a canary
		"canary: false":                         0,
		"canary: false, checkpoints: [50, 100]": 5 * time.Minute,
		"checkpoints: [50, 100], checkpoint_delay: 1s":            time.Second,
		"canary: false, checkpoints: [100], checkpoint_delay: 2d": 48 * time.Hour,
	} {
		p := load(t, project(t, small+"targets: { t: { endpoint: local } }\nfleets: { f: { target: t, auto_scaling_group: g, refresh: { "+refresh+" } } }\n", web))
		if have := p.Fleets["f"].Refresh.CheckpointDelay; time.Duration(have) != want {
			t.Errorf("{ %s }: the delay is %v, want %v", refresh, have, want)
		}
		if p.Fleets["f"].Image != "web" || p.Targets["t"].Region != "eu-west-1" {
			t.Errorf("{ %s }: the fleet runs %q in %q", refresh, p.Fleets["f"].Image, p.Targets["t"].Region)
		}
	}
	for lines, want := range map[string]string{
		"":              "[bios] 2GiB",
		"arch: arm64\n": "[uefi] 2GiB",
		"tests: { boot: { firmware: [uefi] } }\n": "[uefi] 2GiB",
		"disk_size: 3GiB\n":                       "[bios] 3GiB",
	} {
		image := load(t, project(t, small, web+lines)).Images[0]
		if have := fmt.Sprint(image.Tests.Boot.Firmware, " ", image.DiskSize); have != want {
			t.Errorf("%q: %s, want %s", lines, have, want)
		}
	}
}

// TestSecretsKnowTheirProject: a secret in a file is looked for from the project, wherever it was named.
func TestSecretsKnowTheirProject(t *testing.T) {
	t.Parallel()
	dir := project(t, small, web+"vars: { v: { secret: { file: a } } }\nsteps:\n- run: x\n  env: { A: { secret: { file: b } }, B: '${{ vars.v }}', C: '${{vars.v}}' }\n- env: { D: { secret: { file: c } } }\n")
	image := load(t, dir).Images[0]
	for name, v := range map[string]bake.Value{"A": image.Steps[0].Env["A"], "B": image.Steps[0].Env["B"], "C": image.Steps[0].Env["C"], "D": image.Steps[1].Env["D"]} {
		if v.Secret == nil || v.Secret.Dir != dir {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v := image.Vars["v"]; v.Secret == nil || v.Secret.Dir != dir {
		t.Errorf("the variable: %+v", v)
	}
	image.Steps[0].Env["B"].Secret.File = "changed"
	if image.Steps[0].Env["C"].Secret.File != "a" || image.Vars["v"].Secret.File != "a" {
		t.Error("two values share a secret")
	}
}

// TestLaterVersions: a file of a later iibake is told from a wrong one, by its version alone.
func TestLaterVersions(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]string{
		"version: 2\nother: things\n":            "web.yaml:1:10: version 2 is of a later iibake: upgrade iibake, or write version: 1",
		"other: { version: 1 }\nversion: 12\n":   "web.yaml:2:10: version 12 is of a later iibake: upgrade iibake, or write version: 1",
		"version: \"2\"\nname: web\nsource: 5\n": `web.yaml:1:10: "version" is the text "2": write it without quotes: 2`,
		"version: 0\nname: web\n":                `web.yaml:1:10: "version" cannot be "0": write 1`,
		"version: -1\nname: web\n":               `web.yaml:1:10: "version" cannot be "-1": write 1`,
		"version: 99999999999999999999\n":        `web.yaml:1:10: "version" is the number "99999999999999999999": write 1`,
		"version: 1.0\nname: web\n":              `web.yaml:1:10: "version" is the number "1.0": write 1`,
		"Version: 1\nname: web\nsource: x\n":     `web.yaml:1:1: unknown key "Version": did you mean "version"?`,
		"{version: 3}":                           "web.yaml:1:11: version 3 is of a later iibake: upgrade iibake, or write version: 1",
	} {
		_, err := template.Load(project(t, small, head), template.Options{})
		if have := fmt.Sprint(err); !strings.Contains(have, want) || strings.Contains(want, "later") && have != want {
			t.Errorf("%q: %s\nwant %s", head, have, want)
		}
	}
}

// TestQuotes: of the user's own text an error shows as much as fits on a line.
func TestQuotes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, shown string }{
		{strings.Repeat("Ä", 60), `"` + strings.Repeat("Ä", 60) + `"`},
		{strings.Repeat("Ä", 61), `"` + strings.Repeat("Ä", 59) + `…"`},
		{strings.Repeat("x", 100_000) + "!", `"` + strings.Repeat("x", 59) + `…"`},
		{"A\u202eB\u200d", `"A\u202eB\u200d"`},
		{"\x1b[2J", `"\x1b[2J"`},
	} {
		_, err := template.Load(project(t, small, fmt.Sprintf("version: 1\nname: %q\nsource: { debian: { suite: x } }\n", c.name)), template.Options{})
		if want := `web.yaml:2:7: "name" cannot be ` + c.shown + ": write"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("have %.200v\nwant %s", err, want)
		}
	}
}
