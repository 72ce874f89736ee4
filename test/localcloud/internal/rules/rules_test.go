package rules_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/rules"
)

type file struct {
	Version int               `yaml:"version"`
	Name    string            `yaml:"name"`
	Wait    clock.Span        `yaml:"wait"`
	Maybe   *clock.Span       `yaml:"maybe"`
	Share   float64           `yaml:"share"`
	On      bool              `yaml:"on"`
	Tags    map[string]string `yaml:"tags"`
	Rules   []rule            `yaml:"rules"`
	Hidden  int
}

type rule struct {
	Name string     `yaml:"name"`
	Odds rules.Odds `yaml:"odds"`
}

func (r rule) Check(fail func(key, text string)) {
	if r.Name == "" {
		fail("name", "a rule has a name")
	}
}

func TestDecode(t *testing.T) {
	const yaml = `
version: 1
name: 111122223333
wait: 1s..2s
maybe: never
share: 0.5
on: true
tags: { a: b, "c": "2" }
rules:
- name: x
  odds: { nth: 3 }
`
	const json = `{"version": 1, "name": "111122223333", "wait": "1s..2s", "maybe": "never", "share": 0.5, "on": true,
	"tags": {"a": "b", "c": "2"}, "rules": [{"name": "x", "odds": {"nth": 3}}]}`
	for _, text := range []string{yaml, json} {
		var f file
		if err := rules.Decode("f", []byte(text), &f); err != nil {
			t.Fatal(err)
		}
		if f.Version != 1 || f.Name != "111122223333" || f.Wait.String() != "1s..2s" || f.Maybe.String() != "never" || f.Share != 0.5 || !f.On {
			t.Errorf("read %+v", f)
		}
		if f.Tags["a"] != "b" || f.Tags["c"] != "2" || len(f.Rules) != 1 || f.Rules[0].Odds.Nth != 3 {
			t.Errorf("read %+v", f)
		}
	}
}

func TestMistakesAreAllReportedAtTheirPlaces(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                    {"f:1:1: the file is empty"},
		"version: [":                          {"f:1:1: this is no YAML"},
		"version: 1\n---\nversion: 2":         {"f:2:1: there is more than one document"},
		"- a":                                 {"f:1:1: there must be keys with values here"},
		"verion: 1":                           {`f:1:1: unknown key "verion": there are version, name, wait`},
		"Hidden: 1":                           {`f:1:1: unknown key "Hidden"`},
		"version: 1\nversion: 2":              {`f:2:1: the key "version" is there already, on line 1`},
		"tags: { a: b, a: c }":                {`f:1:15: the key "a" is there already`},
		"version: one\nshare: x\non: 3":       {"f:1:10: there must be a whole number", "f:2:8: there must be a number", "f:3:5: there must be true or false"},
		"name:\nwait: 20":                     {"f:1:6: there must be text here", `f:2:7: "20" is no length of time`},
		"name: [a]\nwait: [a]\nrules: 3":      {"f:1:7: there must be text", "f:2:7: there must be a single value", "f:3:8: there must be a list"},
		"name: 1.5":                           {"f:1:7: there must be text here"},
		"name: &a x\ntags: { b: *a }":         {"f:1:7: anchors and aliases", "f:2:12: anchors and aliases"},
		"rules: [{}]":                         {"f:1:9: a rule has a name"},
		"rules:\n- name: ''":                  {"f:2:9: a rule has a name"},
		"rules: [{name: x, odds: {nth: -1}}]": {"f:1:31: nth is a number of times"},
		"rules: [{name: x, odds: {probability: .nan}}]": {"f:1:39: probability lies"},
		"version: 99999999999999999999":                 {"f:1:10: there must be a whole number"},
	} {
		err := rules.Decode("f", []byte(text), &file{})
		if err == nil {
			t.Errorf("%q was read", text)
			continue
		}
		var first *rules.Error
		if !errors.As(err, &first) || len(strings.Split(err.Error(), "\n")) != len(want) {
			t.Errorf("%q: got\n%v", text, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: got\n%v\nwithout %s", text, err, w)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("version: 1\nrules: [{name: x, odds: {nth: 1}}]")
	f.Add("a: &a [*a]")
	f.Add("{\"wait\": \"1s~2s\"}")
	f.Fuzz(func(_ *testing.T, text string) {
		_ = rules.Decode("f", []byte(text), &file{}) // must not panic
	})
}

func TestOdds(t *testing.T) {
	for name, c := range map[string]struct {
		odds rules.Odds
		want string
	}{
		"all":          {rules.Odds{}, "1111111111"},
		"nth":          {rules.Odds{Nth: 3}, "0010000000"},
		"every":        {rules.Odds{Every: 4}, "0001000100"},
		"times":        {rules.Odds{Times: 2}, "1100000000"},
		"after":        {rules.Odds{After: 7}, "0000000111"},
		"all together": {rules.Odds{Every: 2, After: 3, Times: 2}, "0001010000"},
		"certain":      {rules.Odds{Probability: 1}, "1111111111"},
	} {
		chooser, got := rules.Chooser{Odds: c.odds}, ""
		for range 10 {
			if chooser.Next() {
				got += "1"
			} else {
				got += "0"
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestChanceIsRepeatable(t *testing.T) {
	run := func(seed uint64) (chosen []int) {
		c := rules.Chooser{Odds: rules.Odds{Probability: 0.1}, Seed: seed, Name: "rule 1"}
		for range 10_000 {
			if c.Next() {
				chosen = append(chosen, c.Matched)
			}
		}
		return chosen
	}
	one, again, two := run(1), run(1), run(2)
	if len(one) < 900 || len(one) > 1100 {
		t.Errorf("%d of 10000 were chosen with a probability of 0.1", len(one))
	}
	if len(one) != len(again) || one[0] != again[0] || one[len(one)-1] != again[len(again)-1] {
		t.Error("the same seed chose others")
	}
	if len(one) == len(two) && one[0] == two[0] && one[1] == two[1] && one[2] == two[2] {
		t.Error("another seed chose the same")
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "anything", true},
		{"*", "", true},
		{"Describe*", "DescribeImages", true},
		{"Describe*", "RunInstances", false},
		{"*Instances", "RunInstances", true},
		{"?un*", "RunInstances", true},
		{"eu-*-1?", "eu-west-1a", true},
		{"eu-west-1", "eu-west-1a", false},
		{"a*b*c", "axxbyybzzc", true},
		{"a*b*c", "axxc", false},
	} {
		if got := rules.Match(c.pattern, c.text); got != c.want {
			t.Errorf("Match(%q, %q) = %t", c.pattern, c.text, got)
		}
	}
}

func TestMatchOfWhatAPatternWasMadeFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,3}`), 1, 5).Draw(t, "parts")
		gaps := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,3}`), len(parts), len(parts)).Draw(t, "gaps")
		text := ""
		for i, part := range parts {
			text += part
			if i < len(parts)-1 {
				text += gaps[i]
			}
		}
		if pattern := strings.Join(parts, "*"); !rules.Match(pattern, text) {
			t.Fatalf("%q does not match %q", pattern, text)
		}
	})
}
