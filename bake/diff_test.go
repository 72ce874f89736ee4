package bake_test

import (
	"errors"
	"os/exec"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
)

func TestDiffPackages(t *testing.T) {
	t.Parallel()
	old := []bake.Package{
		{"vim", "2:9.0-1", "amd64"},
		{"bash", "5.2.15-2+b2", "amd64"},
		{"nano", "7.2-1", "amd64"},
		{"tzdata", "2024b-0+deb12u1", "all"},
		{"libc6", "2.36-9", "amd64"},
		{"libc6", "2.36-9", "i386"},
		{"kernel-core", "6.1.0-10.el9", "x86_64"},
		{"kernel-core", "6.1.0-9.el9", "x86_64"},
		{"glibc", "2.34-100.el9", "x86_64"},
	}
	now := []bake.Package{
		{"tzdata", "2024b~rc1-1", "all"},
		{"bash", "5.2.15-2+b7", "amd64"},
		{"vim", "2:9.0-1", "amd64"},
		{"curl", "7.88.1-10", "amd64"},
		{"libc6", "2.36-9", "i386"},
		{"libc6", "2.36-9+deb12u4", "amd64"},
		{"kernel-core", "6.1.0-10.el9", "x86_64"},
		{"kernel-core", "6.1.0-11.el9", "x86_64"},
		{"kernel-core", "6.1.0-12.el9", "x86_64"},
		{"glibc", "2.34-60.el9", "x86_64"},
	}
	want := []struct {
		kind bake.ChangeKind
		text string
	}{
		{bake.Upgraded, "bash 5.2.15-2+b2 → 5.2.15-2+b7"},
		{bake.Added, "+ curl 7.88.1-10"},
		{bake.Downgraded, "glibc 2.34-100.el9 → 2.34-60.el9"},
		{bake.Upgraded, "kernel-core 6.1.0-9.el9 → 6.1.0-11.el9"},
		{bake.Added, "+ kernel-core 6.1.0-12.el9"},
		{bake.Upgraded, "libc6 2.36-9 → 2.36-9+deb12u4"},
		{bake.Removed, "- nano 7.2-1"},
		{bake.Downgraded, "tzdata 2024b-0+deb12u1 → 2024b~rc1-1"},
	}
	was := slices.Clone(old)
	got := bake.DiffPackages(old, now)
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i, c := range got {
		if c.Kind() != want[i].kind || c.String() != want[i].text {
			t.Errorf("got %s %q, want %s %q", c.Kind(), c, want[i].kind, want[i].text)
		}
	}
	if !slices.Equal(old, was) {
		t.Error("the list was changed")
	}
}

// TestDiffPackagesAddsUp replays the difference of two lists on the first and wants the second.
func TestDiffPackagesAddsUp(t *testing.T) {
	t.Parallel()
	list := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) bake.Package {
		return bake.Package{
			Name:    rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"),
			Version: rapid.SampledFrom([]string{"1", "01", "2", "3"}).Draw(t, "version"),
			Arch:    rapid.SampledFrom([]string{"amd64", "all", "noarch"}).Draw(t, "arch"),
		}
	}), 0, 12, rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		old, now := list.Draw(t, "old"), list.Draw(t, "new")
		replayed := map[bake.Package]bool{}
		for _, p := range old {
			replayed[p] = true
		}
		for _, c := range bake.DiffPackages(old, now) {
			delete(replayed, bake.Package{Name: c.Name, Arch: c.Arch, Version: c.Old})
			if c.New != "" {
				replayed[bake.Package{Name: c.Name, Arch: c.Arch, Version: c.New}] = true
			}
			if c.Old == c.New {
				t.Fatalf("no change: %+v", c)
			}
		}
		for _, p := range now {
			if !replayed[p] {
				t.Fatalf("%v is missing", p)
			}
		}
		if len(replayed) != len(now) {
			t.Fatalf("got %v, want %v", replayed, now)
		}
	})
}

func TestCompareDebianVersions(t *testing.T) {
	t.Parallel()
	for _, ordered := range [][]string{
		{"1.0~~", "1.0~~a", "1.0~", "1.0~beta1", "1.0", "1.0-1", "1.0-1+b1", "1.0a", "1.0+1", "1.0.1", "1.1"},
		{"9", "10", "99", "100", "99999999999999999998", "99999999999999999999", "1:0", "2:0~"},
		{"2.36-9+deb12u3", "2.36-9+deb12u4", "2.36-9+deb12u10", "2.36-10", "2.36-a-1", "2.36.1-1"},
	} {
		wantOrder(t, bake.CompareDebianVersions, ordered)
	}
	for _, same := range [][2]string{{"1.0", "1.0-0"}, {"0:1", "1"}, {"1.01", "1.1"}, {"1.", "1.0"}, {"", "0"}, {"00:1-00", "1"}} {
		if c := bake.CompareDebianVersions(same[0], same[1]); c != 0 {
			t.Errorf("%q and %q: got %d, want 0", same[0], same[1], c)
		}
	}
}

// TestCompareDebianVersionsAsDpkg asks dpkg itself.
func TestCompareDebianVersionsAsDpkg(t *testing.T) {
	t.Parallel()
	const pairs = 100 // a process each
	part := rapid.StringOfN(rapid.SampledFrom([]rune("0019az.+~-")), 0, 6, -1)
	version := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "0:", "1:", "01:"}).Draw(t, "epoch") + "1" + part.Draw(t, "rest") + "0"
	})
	for seed := range pairs {
		a, b := version.Example(2*seed), version.Example(2*seed+1)
		if seed%4 == 0 {
			b = a + b[len(b)-2:] // a near miss
		}
		relation := "eq"
		if c := bake.CompareDebianVersions(a, b); c < 0 {
			relation = "lt"
		} else if c > 0 {
			relation = "gt"
		}
		err := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", a, relation, b).Run()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
			t.Errorf("dpkg denies that %s %s %s", a, relation, b)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRPMVersions takes its cases from rpm's own tests (tests/rpmvercmp.at).
func TestRPMVersions(t *testing.T) {
	t.Parallel()
	compare := func(a, b string) int {
		if a == b {
			return 0
		}
		c := bake.PackageChange{Name: "p", Arch: "x86_64", Old: a, New: b}
		back := bake.PackageChange{Name: "p", Arch: "noarch", Old: b, New: a}
		switch {
		case c.Kind() == bake.Downgraded:
			return 1
		case back.Kind() == bake.Downgraded:
			return -1
		}
		return 0
	}
	for _, ordered := range [][]string{
		{"1.0", "2.0", "2.0.1", "2.0.1a"},
		{"5.5p1", "5.5p2", "5.5p10"},
		{"10xyz", "10.1xyz"},
		{"xyz10", "xyz10.1"},
		{"xyz.4", "8"},
		{"xyz.4", "2"},
		{"5.6p1", "6.5p1"},
		{"6.0", "6.0.rc1"},
		{"10a2", "10b2"},
		{"10a1", "10b2"},
		{"10.0001", "10.0039"},
		{"4.999.9", "5.0"},
		{"20101121", "20101122"},
		{"2_0", "3_0"},
		{"1.0a", "1.0.1"},
		{"1.0~rc1", "1.0~rc2", "1.0", "1.0^", "1.0^git1", "1.0^git2", "1.0.1"},
		{"1.0~rc1~git123", "1.0~rc1"},
		{"1.0~rc1", "1.0arc1"},
		{"1.0^git1~pre", "1.0^git1"},
		{"1.0^20160101", "1.0^20160102", "1.01"},
		{"1.0-9.el9", "1.0-10.el9", "1.0.1-1.el9", "1:0.1-1.el9"},
	} {
		wantOrder(t, compare, ordered)
	}
	for _, same := range [][2]string{
		{"fc4", "fc.4"},
		{"2_0", "2.0"},
		{"a+", "a_"},
		{"a", "a."},
		{"10.0001", "10.1"},
		{"0:1-1", "1-1"},
		{"1ä0", "1.0"},
		{"6.0.rc1", "6.0rc1"},
		{"1.0", "1_0"},
	} {
		if c := compare(same[0], same[1]); c != 0 {
			t.Errorf("%q and %q: got %d, want 0", same[0], same[1], c)
		}
	}
}

// wantOrder wants every version to be older than every later one.
func wantOrder(t *testing.T, compare func(a, b string) int, ordered []string) {
	t.Helper()
	for i, a := range ordered {
		for j, b := range ordered {
			got := compare(a, b)
			if i < j && got >= 0 || i > j && got <= 0 || i == j && got != 0 {
				t.Errorf("%q and %q: got %d", a, b, got)
			}
		}
	}
}
