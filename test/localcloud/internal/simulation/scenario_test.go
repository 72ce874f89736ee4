package simulation_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/simulation"
)

func TestScenarioLayers(t *testing.T) {
	const scenario = `
version: 1
default: { boot: 10s, status: 10s }
rules:
- match: { zone: "*b" }
  do: { fail: Server.InsufficientInstanceCapacity, boot: 1s }
- match: { group: web-*, tags: { "aws:ec2launchtemplate:version": "2" } }
  do: { status: never }
- match: { type: m5.*, account: "444455556666", region: us-*, image: ami-9*, name: db }
  do: { boot: 77s }
`
	for name, c := range map[string]struct {
		change func(*compute.Spec)
		want   []string
	}{
		"default": {func(*compute.Spec) {}, []string{"10s i-1 running 10.0.0.1 100.64.0.1", "20s i-1 healthy=true"}},
		"zone":    {func(s *compute.Spec) { s.Zone = "eu-west-1b" }, []string{"1s i-1 ended Server.InsufficientInstanceCapacity"}},
		"group and tag": {func(s *compute.Spec) {
			s.Tags["aws:autoscaling:groupName"], s.Tags["aws:ec2launchtemplate:version"] = "web-1", "2"
		}, []string{"10s i-1 running 10.0.0.1 100.64.0.1", "2m10s i-1 healthy=false"}},
		"group without tag": {func(s *compute.Spec) {
			s.Tags["aws:autoscaling:groupName"] = "web-1"
		}, []string{"10s i-1 running 10.0.0.1 100.64.0.1", "20s i-1 healthy=true"}},
		"everything else": {func(s *compute.Spec) {
			s.Type, s.Account, s.Region, s.Metadata.ImageID, s.Tags["Name"] = "m5.large", "444455556666", "us-east-1", "ami-99", "db"
		}, []string{"1m17s i-1 running 10.0.0.1 100.64.0.1", "1m27s i-1 healthy=true"}},
		"tags above all": {func(s *compute.Spec) {
			s.Zone, s.Tags["iibake:sim:boot"] = "eu-west-1b", "2s"
		}, []string{"2s i-1 ended Server.InsufficientInstanceCapacity"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := newWorld(t, scenario), spec("i-1")
			c.change(&s)
			w.Start(s)
			w.clock.Advance(10 * time.Minute)
			w.want(t, c.want...)
		})
	}
}

// outcomes starts n instances of a group and returns their ids with what became of them first.
func outcomes(w *world, n int) string {
	for i := range n {
		w.Start(spec(fmt.Sprintf("i-a%d", i), "aws:autoscaling:groupName=a"))
	}
	w.clock.Advance(time.Minute)
	return w.said.take()
}

func TestScenarioIsRepeatable(t *testing.T) {
	const scenario = "version: 1\nseed: %d\nrules:\n- match: { probability: 0.2 }\n  do: { fail: Server.InternalError }\n- do: { boot: 1s..50s }"
	one := outcomes(newWorld(t, fmt.Sprintf(scenario, 1)), 50)
	if again := outcomes(newWorld(t, fmt.Sprintf(scenario, 1)), 50); again != one {
		t.Errorf("the same seed gave\n%s\nand\n%s", one, again)
	}
	if other := outcomes(newWorld(t, fmt.Sprintf(scenario, 2)), 50); other == one {
		t.Error("another seed gave the same")
	}
	if n := strings.Count(one, "InternalError"); n < 2 || n > 25 {
		t.Errorf("%d of 50 failed with a probability of 0.2", n)
	}
}

func TestGroupsDoNotDisturbEachOther(t *testing.T) {
	const scenario = "version: 1\nseed: 1\ndefault: { boot: 1s..50s }"
	first := func(said string) (lines []string) {
		for line := range strings.Lines(said) {
			if fields := strings.Fields(line); strings.HasPrefix(fields[1], "i-a") {
				lines = append(lines, fields[0]+fields[1])
			}
		}
		return lines
	}
	alone := first(outcomes(newWorld(t, scenario), 10))
	w := newWorld(t, scenario)
	for i := range 10 {
		w.Start(spec(fmt.Sprintf("i-b%d", i), "aws:autoscaling:groupName=b"))
		w.Start(spec(fmt.Sprintf("i-a%d", i), "aws:autoscaling:groupName=a"))
	}
	w.clock.Advance(time.Minute)
	if beside := first(w.said.take()); strings.Join(beside, " ") != strings.Join(alone, " ") {
		t.Errorf("alone %q\nbeside another group %q", alone, beside)
	}
}

func TestScenarioCanBeReplaced(t *testing.T) {
	w := newWorld(t, "version: 1\ndefault: { boot: 20s }")
	w.Start(spec("i-1"))
	s, err := simulation.Parse("x", []byte("version: 1\nrules: [{ match: { nth: 1 }, do: { boot: 1s } }]"))
	if err != nil {
		t.Fatal(err)
	}
	w.SetScenario(s)
	w.Start(spec("i-2"))
	w.Start(spec("i-3"))
	w.clock.Advance(30 * time.Second)
	w.want(t, "1s i-2 running 10.0.0.2 100.64.0.2", "4s i-3 running 10.0.0.3 100.64.0.3", "20s i-1 running 10.0.0.1 100.64.0.1")
}

func TestMistakesInAScenario(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "s:1:1: the file is empty: write at least version: 1",
		"seed: 1":                              "s:1:1: this release reads version: 1",
		"version: 2":                           "s:1:10: this release reads version: 1",
		"version: 1\nrule: []":                 `s:2:1: unknown key "rule": there are version, seed, default, rules`,
		"version: 1\nrules: [{do: {boot: 3}}]": `s:2:21: "3" is no length of time: write 20s, 20s..40s, 30s~5s or never`,
		"version: 1\nrules: [{do: {fail: Capacity}}]":             `s:2:21: "Capacity" is no code of a state reason: write one such as Server.InsufficientInstanceCapacity`,
		"version: 1\nrules: [{match: {probability: 2}, do: {}}]":  "s:2:31: probability lies above 0 and at most at 1",
		"version: 1\ndefault: { terminate: never }":               "s:2:23: an instance comes to its end: write how long it takes",
		"version: 1\nrules:\n- match: { zone: 1.5 }\n  does: { }": "s:3:18: there must be text here\ns:4:3: unknown key \"does\": there are match, do",
	} {
		if _, err := simulation.Parse("s", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestMistakesInTags(t *testing.T) {
	_, _, err := simulation.Tags(map[string]string{
		"iibake:sim:boot": "soon", "iibake:sim:every": "0", "iibake:sim:fail": "x", "iibake:sim:x": "1", "Name": "iibake:sim:boot",
	})
	for _, want := range []string{
		`tag iibake:sim:boot=soon: "soon" is no length of time`, "tag iibake:sim:every=0: write a whole number", `tag iibake:sim:fail: "x" is no code`,
		"tag iibake:sim:x=1: there is no such behaviour",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwithout %s", err, want)
		}
	}
}

func TestTheExampleIsRead(t *testing.T) {
	data, err := os.ReadFile("testdata/scenario.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := simulation.Parse("scenario.yaml", data); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("version: 1\nrules:\n- match: { every: 3 }\n  do: { boot: 1s..2s, fail: Server.X }")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = simulation.Parse("s", []byte(text)) })
}
