package template_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

func TestExplain(t *testing.T) {
	for key, want := range map[string]template.Entry{
		"catalog": {
			File: template.ProjectFile, Key: "catalog", Type: "text", Default: ".iibake",
			Doc: "where the record of all images is kept: a folder, or s3://bucket/prefix for one that machines share; disks stay where they were baked",
		},
		"fleets.refresh.soak": {
			File: template.ProjectFile, Key: "fleets.NAME.refresh.soak", Type: "duration up to 2d", Example: "10m",
			Doc: "how long to watch before the refresh counts as done",
		},
		"fleets.web-eu.refresh.checkpoints": {
			File: template.ProjectFile, Key: "fleets.NAME.refresh.checkpoints", Type: "list of whole numbers from 1 to 100", Example: "[10, 50, 100]",
			Doc: "percentages to pause at, ascending, the last one 100",
		},
		"channels.production.waves": {
			File: template.ProjectFile, Key: "channels.NAME.waves", Type: "list of lists of texts", Example: "[[web-canary]]",
			Doc: "fleets that follow the channel, in groups that move together",
		},
		"steps[3].copy.to": {
			File: template.TemplateFile, Key: "steps[].copy.to", Type: "text", Required: true, Example: "/var/www/html/",
			Doc: "absolute path in the image; a trailing slash means into this folder",
		},
		"tests.boot.root_disk": {
			File: template.TemplateFile, Key: "tests.boot.root_disk", Type: "nvme or virtio", Default: "nvme", Doc: "how the root disk is attached",
		},
		"source.image": {
			File: template.TemplateFile, Key: "source.image", Type: "text", Example: "base@candidate", OneOf: "source",
			Doc: "another image of the catalog: name@channel or name:version",
		},
		"tests.allowed_failed_units": {
			File: template.TemplateFile, Key: "tests.allowed_failed_units", Type: "list of texts", Example: "[nfs-server.service]", Doc: "systemd units that may fail",
		},
	} {
		t.Run(key, func(t *testing.T) {
			got, err := template.Explain(key)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].Keys != nil {
				t.Fatalf("got %d entries, want one without keys: %+v", len(got), got)
			}
			if text(t, got[0]) != text(t, want) {
				t.Errorf("got  %s\nwant %s", text(t, got[0]), text(t, want))
			}
		})
	}
}

func text(t *testing.T, e template.Entry) string {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What both kinds of files have is told of both, and what is below a key in the order in which it is declared.
func TestExplainSeveral(t *testing.T) {
	files, err := template.Explain("")
	if err != nil || len(files) != 2 || files[0].File != template.ProjectFile || files[1].File != template.TemplateFile {
		t.Fatalf("got %+v, %v: want both files", files, err)
	}
	if first := files[1].Keys[0].Key; first != "version" {
		t.Errorf("a template begins with %s", first)
	}
	if both, err := template.Explain("version"); err != nil || len(both) != 2 {
		t.Errorf("got %+v, %v: want the version of both files", both, err)
	}
	one, err := template.Explain("targets.eu")
	if err != nil || len(one) != 1 || one[0].Key != "targets.NAME" || one[0].Type != "mapping" || one[0].Example != "" || len(one[0].Keys) != 3 {
		t.Errorf("got %+v, %v: want what one target has", one, err)
	}
	disk, err := template.Explain("source.disk")
	if err != nil || disk[0].Short != "path" {
		t.Errorf("got %+v, %v: want path as the short form", disk, err)
	}
}

func TestExplainUnknown(t *testing.T) {
	for key, want := range map[string]string{
		"fleets.web.refersh":     `fleets.NAME has no key "refersh": did you mean "refresh"?`,
		"fleets.refersh.soak":    `fleets has no key "refersh": did you mean "refresh"?`,
		"chanels":                `iibake.yaml has no key "chanels": did you mean "channels"?`,
		"nothing":                `iibake.yaml has no key "nothing": write one of version, catalog`,
		"steps.copy.form":        `steps[].copy has no key "form": did you mean "from"?`,
		"name.first":             "name has no keys below it",
		"disk_size.bytes":        "disk_size has no keys below it",
		"tests.http.port.number": "tests.http[].port has no keys below it",
	} {
		t.Run(key, func(t *testing.T) {
			_, err := template.Explain(key)
			if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// Every key can be explained, says what it is for, and is found also with names and numbers in it; whatever else is asked for is an error.
func TestExplainEveryKey(t *testing.T) {
	keys := template.Keys()
	if !slices.IsSorted(keys) || !slices.Contains(keys, "fleets.refresh.probes.http") || !slices.Contains(keys, "steps.user.ssh_keys") {
		t.Fatalf("keys are missing, or unsorted: %v", keys)
	}
	for _, key := range keys {
		entries, err := template.Explain(key)
		if err != nil {
			t.Errorf("%s: %v", key, err)
		}
		for _, e := range entries {
			if e.Doc == "" || e.Type == "" {
				t.Errorf("%s says nothing of itself: %+v", key, e)
			}
			if again, err := template.Explain(strings.NewReplacer("NAME", "web", "[]", "[7]").Replace(e.Key)); err != nil || again[0].Key != e.Key {
				t.Errorf("%s: written out as %s it is %+v, %v", key, e.Key, again, err)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`([a-z_]{1,8}|\[[0-9]\]|\.){0,6}`).Draw(t, "key")
		if _, err := template.Explain(key); err != nil && !errors.Is(err, bake.ErrInvalid) {
			t.Fatalf("%s: %v", key, err)
		}
	})
}
