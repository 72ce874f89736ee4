package local_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local"
)

// at returns the reporter of k that also calls do when a task begins.
func (k *kitchen) at(task string, do func()) bake.Reporter {
	return bake.ReporterFunc(func(e bake.Event) {
		k.events.Report(e)
		if e.Kind == bake.EventStart && strings.HasPrefix(e.Task, task) {
			do()
		}
	})
}

// Somebody who edits files while an image is being baked gets an error, and no result stands under the key of files that it was not made of.
func TestFilesThatChangeDuringABake(t *testing.T) {
	for file, during := range map[string]string{"disk.raw": "source", "hello.txt": "step 1", "say.sh": "step 2"} {
		t.Run(file, func(t *testing.T) {
			k := newKitchen(t)
			k.write(t, "say.sh", []byte("#!/bin/sh\necho said > /said\n"))
			before, err := os.ReadFile(filepath.Join(k.repo, file))
			if err != nil {
				t.Fatal(err)
			}
			after := append(bytes.Clone(before), []byte(strings.Repeat("#", 512))...)
			tpl := k.template("web", copyStep("hello.txt", "/hello"), bake.Step{Script: &bake.Script{File: "say.sh"}})
			_, err = local.New(k.config()).Bake(t.Context(), tpl, k.at(during, func() { k.write(t, file, after) }))
			if err == nil || !strings.Contains(err.Error(), "were changed while the image was being baked") {
				t.Fatalf("error = %v", err)
			}
			k.write(t, file, before)
			img := k.mustBake(t, tpl)
			if got := k.cat(t, img, "/hello") + k.cat(t, img, "/said"); got != "hello\nsaid\n" {
				t.Errorf("the image holds %q", got)
			}
			if img.Size != bake.Size(64<<20) {
				t.Errorf("the disk has %v", img.Size)
			}
		})
	}
}

// A token that is replaced by the hour is one value for a whole bake: the one that is hidden and looked for.
func TestSecretsAreReadOnce(t *testing.T) {
	k := newKitchen(t)
	k.write(t, "token", []byte("first-token\n"))
	s := run(`echo "it is $TOKEN"; [ "$TOKEN" = first-token ]`)
	s.Env = map[string]bake.Value{"TOKEN": {Secret: &bake.Secret{File: "token", Dir: k.repo}}}
	tpl := k.template("web", run("true"), s)
	_, err := local.New(k.config()).Bake(t.Context(), tpl, k.at("step 1", func() { k.write(t, "token", []byte("later-token\n")) }))
	if err != nil || strings.Contains(k.events.text(), "-token") {
		t.Errorf("error = %v after %s", err, k.events.text())
	}
}
