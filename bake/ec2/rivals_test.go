package ec2_test

import (
	"context"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// overtaken is a catalog whose user is overtaken by somebody when it records what an upload has led to.
type overtaken struct {
	catalog.Catalog

	by func()
}

func (o *overtaken) Swap(ctx context.Context, head string, old, next []byte) error {
	if by := o.by; by != nil && strings.Contains(string(next), `"snapshot"`) {
		o.by = nil
		by()
	}
	return o.Catalog.Swap(ctx, head, old, next)
}

// Who is overtaken by another process that makes precisely the same image takes what is there.
func TestPublishWhatAnotherProcessHasJustMade(t *testing.T) {
	t.Parallel()
	for name, theirs := range map[string][]string{"all of it": {"eu", "us"}, "some of it": {"eu"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			img := w.image(version(1), 4, blocks{0: 1, 2: 2, 4: 3}, "")
			var before map[string]bake.Artifact
			p := w.process(nil, func(c catalog.Catalog) catalog.Catalog {
				return &overtaken{c, func() {
					var err error
					before, err = w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), theirs)
					ok(t, err)
				}}
			})
			made, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us"})
			ok(t, err)
			for _, name := range theirs {
				if made[name].AMI == "" || made[name].AMI != before[name].AMI {
					t.Errorf("%s: got %+v, there was %+v", name, made[name], before[name])
				}
			}
			w.leaves("eu-west-1", "us-east-1")
		})
	}
}
