package template_test

import (
	"os"
	"testing"

	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/templates"
)

// BenchmarkLoad loads what iibake init writes: a project with two images.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if err := os.CopyFS(dir, templates.Project()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := template.Load(dir, template.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSchema derives the larger of the two schemas.
func BenchmarkSchema(b *testing.B) {
	for b.Loop() {
		if _, err := template.Schema(template.TemplateFile); err != nil {
			b.Fatal(err)
		}
	}
}
