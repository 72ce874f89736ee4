package contract_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// suite is what is told of a file of cases.
type suite struct {
	About  string            `yaml:"about"`
	Source string            `yaml:"source"` // where what the cases state comes from
	Others map[string]string `yaml:"others"` // why an emulator differs
	Cases  []struct {
		Name string `yaml:"name"`
	} `yaml:"cases"`
}

// checkDifferences compares what is written down about the other emulators with what came of the cases there.
func checkDifferences(t *testing.T, results []result) {
	t.Helper()
	const page, begin, end = "../DIFFERENCES.md", "<!-- cases -->\n", "<!-- /cases -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost its markers", page)
	}
	want := before + begin + differences(t, results) + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Errorf("%s tells otherwise: go test ./test/localcloud/contract -run TestContract -update\n%s", page, changed(string(text), want))
	}
}

// changed lists the lines that only one text has.
func changed(a, b string) string {
	var out strings.Builder
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for _, side := range []struct {
		mark         string
		lines, other []string
	}{{"-", as, bs}, {"+", bs, as}} {
		for _, l := range side.lines {
			if !slices.Contains(side.other, l) {
				fmt.Fprintf(&out, "%s %s\n", side.mark, l)
			}
		}
	}
	return out.String()
}

// differences is the generated part of the document.
func differences(t *testing.T, results []result) string {
	t.Helper()
	others := []string{"moto", "ministack"}
	brief := map[[3]string]string{}
	for _, r := range results {
		brief[[3]string{r.File, r.Case, r.Endpoint}] = r.Brief
	}
	var summary, details strings.Builder
	for _, file := range files(t) {
		s := read(t, file)
		name := strings.TrimSuffix(file[strings.LastIndex(file, "/")+1:], ".yaml")
		right := map[string]int{}
		var rows strings.Builder
		for _, c := range s.Cases {
			row, wrong := "| "+c.Name, false
			for _, o := range others {
				text := brief[[3]string{name, c.Name, o}]
				if text == "" {
					right[o]++
				}
				row, wrong = row+" | "+text, wrong || text != ""
			}
			if wrong {
				rows.WriteString(row + " |\n")
			}
		}
		fmt.Fprintf(&summary, "| %s | %d | %d | %d |\n", s.About, len(s.Cases), right["moto"], right["ministack"])
		fmt.Fprintf(&details, "\n### %s\n\n%s\n", s.About, strings.TrimSpace(s.Source))
		for _, o := range others {
			if why := s.Others[o]; why != "" {
				fmt.Fprintf(&details, "\n%s: %s\n", o, strings.TrimSpace(why))
			}
		}
		fmt.Fprintf(&details, "\n| case | moto | ministack |\n|---|---|---|\n%s", rows.String())
	}
	return "\n| | cases | moto is right | ministack is right |\n|---|---|---|---|\n" + summary.String() + details.String() + "\n"
}

func read(t *testing.T, name string) (s suite) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if s.Source == "" || s.About == "" {
		t.Errorf("%s does not say what it is about, or where what it states comes from", name)
	}
	return s
}
