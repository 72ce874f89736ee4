package bake_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

func artifact(version, region, ami string, minute int) bake.Artifact {
	return bake.Artifact{
		Image: ref("web", version), Disk: bake.DigestOf([]byte("disk " + version)), Account: "111122223333", Region: region,
		AMI: ami, Snapshot: "snap-" + ami, At: time.Date(2026, 11, 22, 10, minute, 0, 0, time.UTC),
	}
}

func TestArtifactsOfAnImage(t *testing.T) {
	t.Parallel()
	v := bake.NewArtifacts(openCatalog(t, t.TempDir()))
	late, early := artifact("1", "eu-west-1", "ami-2", 2), artifact("1", "us-east-1", "ami-1", 1)
	local := artifact("1", "us-east-1", "ami-3", 3)
	local.Endpoint = "http://127.0.0.1:4580"
	for _, a := range []bake.Artifact{late, early, local, artifact("10", "eu-west-1", "ami-9", 0)} {
		if err := v.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	got, err := v.Of(t.Context(), ref("web", "1"))
	if want := []bake.Artifact{early, late, local}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
	if got, err := v.Of(t.Context(), ref("web", "2")); err != nil || len(got) != 0 {
		t.Errorf("of an image that was not published: %v and %v", got, err)
	}
}

func TestArtifactIsRecordedOnce(t *testing.T) {
	t.Parallel()
	v := bake.NewArtifacts(openCatalog(t, t.TempDir()))
	first, again := artifact("1", "eu-west-1", "ami-1", 1), artifact("1", "eu-west-1", "ami-1", 5)
	for _, a := range []bake.Artifact{first, first, again} {
		if err := v.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := v.Of(t.Context(), first.Image); err != nil || !slices.Equal(got, []bake.Artifact{first}) {
		t.Errorf("got %v and %v", got, err)
	}
	again.Disk = bake.DigestOf([]byte("another"))
	if err := v.Record(t.Context(), again); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("another disk under the same id: %v", err)
	}
}

func TestImagesOfAMIs(t *testing.T) {
	t.Parallel()
	v := bake.NewArtifacts(openCatalog(t, t.TempDir()))
	for _, a := range []bake.Artifact{artifact("1", "eu-west-1", "ami-1", 1), artifact("1", "us-east-1", "ami-2", 1), artifact("2", "eu-west-1", "ami-3", 1)} {
		if err := v.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := v.Places(t.Context()); err != nil || len(got) != 3 ||
		got[1] != (bake.Artifact{Image: ref("web", "1"), Account: "111122223333", Region: "us-east-1", AMI: "ami-2"}) {
		t.Errorf("got %v and %v", got, err)
	}
	want := map[string]bake.Ref{"ami-1": ref("web", "1"), "ami-2": ref("web", "1"), "ami-3": ref("web", "2")}
	if got, err := v.Images(t.Context()); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
}
