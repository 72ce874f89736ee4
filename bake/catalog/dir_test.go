package catalog_test

import (
	"testing"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/catalogtest"
)

func TestDirKeepsTheContract(t *testing.T) {
	t.Parallel()
	catalogtest.Run(t, func(t *testing.T) func() catalog.Catalog {
		t.Helper()
		dir := t.TempDir()
		return func() catalog.Catalog { return openDir(t, dir) }
	})
}

func openDir(t *testing.T, dir string) *catalog.Dir {
	t.Helper()
	d, err := catalog.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
