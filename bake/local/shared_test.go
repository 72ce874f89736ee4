package local_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/local"
)

// shared is a catalog in which other machines are faster, the first few times.
type shared struct {
	catalog.Catalog
	others *int
}

// List lists, and then others take what is free.
func (s shared) List(ctx context.Context, prefix string) ([]string, error) {
	keys, err := s.Catalog.List(ctx, prefix)
	if !strings.HasPrefix(prefix, "images/web/") || *s.others == 0 || err != nil {
		return keys, err
	}
	*s.others--
	v, err := bake.ParseVersion(strings.TrimPrefix(prefix, "images/web/") + string(rune('1'+len(keys))) + "-gabababa")
	if err != nil {
		return nil, err
	}
	return keys, s.Put(ctx, "images/web/"+v.String(), []byte(`{"name":"web","version":"`+v.String()+`"}`))
}

// Two pipelines of one commit may bake the same image at the same time on two machines.
func TestAnotherMachineTakesTheVersion(t *testing.T) {
	k := newKitchen(t)
	c, err := catalog.OpenDir(filepath.Join(k.state, "catalog"))
	if err != nil {
		t.Fatal(err)
	}
	others := 2
	k.images = bake.NewImages(shared{c, &others})
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) // versions are counted by the day
	img := k.mustBake(t, k.template("web"), func(c *local.Config) { c.Now = func() time.Time { return noon } })
	if v, err := bake.ParseVersion(img.Version); err != nil || v.N != 3 {
		t.Errorf("version %s, %v", img.Version, err)
	}
}
