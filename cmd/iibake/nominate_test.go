package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// A build whose image was revoked does not say that all is well, and images that come from it become no candidates.
func TestBuildOfARevokedImage(t *testing.T) {
	k := newKitchen(t)
	results, err := k.build(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	base := bake.Ref{Name: "base", Version: results[0].Version}
	revocations := promote.NewRevocations(k.r.catalog)
	said := promote.Revocation{Image: base, By: "eve", At: time.Now(), Reason: "leaks a key"}
	if err := revocations.Record(t.Context(), said); err != nil {
		t.Fatal(err)
	}
	_, err = k.build(t, nil)
	if !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "leaks a key") || len(hints(err)) == 0 {
		t.Errorf("error %v, hints %v: want why, and what to do", err, hints(err))
	}

	// What is mended is another image.
	k.content["base"] = "2"
	results, err = k.build(t, nil)
	if err != nil || results[0].Status != baked || k.candidate(t, "base") != results[0].Version {
		t.Errorf("%+v, %v, candidate %s", results[0], err, k.candidate(t, "base"))
	}

	// And a revocation may be taken back.
	k.content["base"] = "1"
	if _, err = k.build(t, nil); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("back at the revoked one: %v", err)
	}
	said.Lifted = true
	if err := revocations.Record(t.Context(), said); err != nil {
		t.Fatal(err)
	}
	if _, err = k.build(t, nil); err != nil || k.candidate(t, "base") != base.Version {
		t.Errorf("%v, candidate %s", err, k.candidate(t, "base"))
	}
}
