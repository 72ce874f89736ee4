package template_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

// versions is what a template should be: the recorded rules in a few lines.
type versions struct {
	counter, standard int
	kinds             map[int]string // instance type by number
}

func (m *versions) latest() int {
	n := 0
	for v := range m.kinds {
		n = max(n, v)
	}
	return n
}

// number is what a request means by a version; 0 where that is no number.
func (m *versions) number(v string) int {
	switch v {
	case "$Latest":
		return m.latest()
	case "$Default":
		return m.standard
	}
	n, _ := strconv.Atoi(v)
	return n
}

func drawVersion(t *rapid.T) string {
	return rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "9", "$Latest", "$Default"}).Draw(t, "version")
}

// Whatever is done to a template's versions, their numbers, the default and the latest follow the recorded rules.
func TestVersionsFollowTheRules(t *testing.T) {
	t.Parallel()
	c, runs := newCloud(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		id := create(t, c, fmt.Sprint("web-", runs), nano()).LaunchTemplateId
		m := &versions{counter: 1, standard: 1, kinds: map[int]string{1: "t3.nano"}}
		acts := map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				m.counter++
				m.kinds[m.counter] = rapid.SampledFrom([]string{"t3.nano", "t3.micro", "t3.small"}).Draw(rt, "type")
				if v := addVersion(t, c, id, "", &data{InstanceType: ec2types.InstanceType(m.kinds[m.counter])}); int(*v.VersionNumber) != m.counter || *v.DefaultVersion {
					rt.Fatalf("got %+v, want number %d", v, m.counter)
				}
			},
			"copy": func(rt *rapid.T) {
				source := drawVersion(rt)
				kind, ok := m.kinds[m.number(source)]
				out, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: id, SourceVersion: &source, LaunchTemplateData: &data{}})
				if !ok {
					ec2test.Expect(rt, err, "InvalidLaunchTemplateId.VersionNotFound", fmt.Sprintf("Could not find the specified version %d for the launch template with ID %s.", m.number(source), *id))
					return
				}
				m.counter++
				m.kinds[m.counter] = kind
				if err != nil || int(*out.LaunchTemplateVersion.VersionNumber) != m.counter {
					rt.Fatalf("got %+v %v", out, err)
				}
			},
			"default": func(rt *rapid.T) {
				v := drawVersion(rt)
				_, err := c.Client.ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: &v})
				if n := m.number(v); m.kinds[n] != "" {
					ec2test.Expect(rt, err, "", "")
					m.standard = n
				} else {
					ec2test.Expect(rt, err, "InvalidLaunchTemplateId.VersionNotFound", "")
				}
			},
			"delete": func(rt *rapid.T) { m.remove(t, rt, c, id) },
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") { // fewer than Repeat makes: every call costs its signature and its XML
			acts[rapid.SampledFrom([]string{"add", "copy", "default", "delete"}).Draw(rt, "act")](rt)
			m.compare(t, rt, c, id)
		}
	})
}

func (m *versions) remove(t *testing.T, rt *rapid.T, c *ec2test.Cloud, id *string) {
	t.Helper()
	names := rapid.SliceOfN(rapid.Custom(drawVersion), 1, 3).Draw(rt, "versions")
	out, err := c.Client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: names})
	var numbers []int
	for _, name := range names {
		numbers = append(numbers, m.number(name))
	}
	if slices.Contains(numbers, m.standard) {
		ec2test.Expect(rt, err, "InvalidParameterValue", "The default version cannot be deleted. Either specify another version as default or delete the launch template.")
		return
	}
	ec2test.Expect(rt, err, "", "")
	good, bad := 0, 0
	for _, n := range numbers {
		if m.kinds[n] != "" {
			good++
		} else {
			bad++
		}
		delete(m.kinds, n)
	}
	if len(out.SuccessfullyDeletedLaunchTemplateVersions) != good || len(out.UnsuccessfullyDeletedLaunchTemplateVersions) != bad {
		rt.Fatalf("deleted %+v, not %+v; want %d and %d", out.SuccessfullyDeletedLaunchTemplateVersions, out.UnsuccessfullyDeletedLaunchTemplateVersions, good, bad)
	}
}

func (m *versions) compare(t *testing.T, rt *rapid.T, c *ec2test.Cloud, id *string) {
	t.Helper()
	now, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*id}})
	if err != nil {
		rt.Fatal(err)
	}
	if lt := now.LaunchTemplates[0]; int(*lt.LatestVersionNumber) != m.latest() || int(*lt.DefaultVersionNumber) != m.standard {
		rt.Fatalf("latest %d, default %d, want %d, %d", *lt.LatestVersionNumber, *lt.DefaultVersionNumber, m.latest(), m.standard)
	}
	var got, want []string
	out, err := c.Client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id})
	if err != nil {
		rt.Fatal(err)
	}
	for _, v := range out.LaunchTemplateVersions {
		got = append(got, fmt.Sprintf("%d %s %v", *v.VersionNumber, v.LaunchTemplateData.InstanceType, *v.DefaultVersion))
	}
	for n := m.counter; n > 0; n-- {
		if kind := m.kinds[n]; kind != "" {
			want = append(want, fmt.Sprintf("%d %s %v", n, kind, n == m.standard))
		}
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("versions %v, want %v", got, want)
	}
}
