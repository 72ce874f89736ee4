package test_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/test"
)

func TestPassed(t *testing.T) {
	for _, c := range []struct {
		statuses []test.Status
		want     bool
	}{
		{nil, false},
		{[]test.Status{test.Skip}, false},
		{[]test.Status{test.Pass}, true},
		{[]test.Status{test.Pass, test.Skip}, true},
		{[]test.Status{test.Pass, test.Fail}, false},
		{[]test.Status{test.Pass, ""}, false},
		{[]test.Status{test.Pass, "of a later release"}, false},
	} {
		var v test.Verdict
		for _, s := range c.statuses {
			v.Results = append(v.Results, test.Result{Status: s})
		}
		if got := v.Passed(); got != c.want {
			t.Errorf("%q: got %v, want %v", c.statuses, got, c.want)
		}
	}
}

func openCatalog(t *testing.T) catalog.Catalog {
	t.Helper()
	c, err := catalog.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sample() test.Verdict {
	return test.Verdict{
		Image: bake.Ref{Name: "web", Version: "2026.11.22-1-gabc1234"}, Disk: bake.DigestOf([]byte("disk")), Tests: bake.DigestOf([]byte("tests")),
		Boots: []test.Boot{{Name: "bios", Accelerator: "tcg", SSH: bake.Duration(41 * time.Second)}},
		Results: []test.Result{
			{Boot: "bios", Name: "ssh", Status: test.Pass, Took: bake.Duration(41 * time.Second)},
			{Boot: "bios", Name: "systemd", Status: test.Fail, Detail: "failed units: <nginx>.service\njournal of \x1b[1mnginx\x1b[0m:\n  & so on", Took: bake.Duration(1500 * time.Millisecond)},
			{Boot: "bios", Name: "reboot", Status: test.Skip, Detail: "the machine had already failed"},
			{Boot: "uefi", Name: "ssh", Status: test.Pass, Detail: "at once"},
		},
		Console: []string{"one", "two \xff"},
		At:      time.Date(2026, 11, 22, 4, 48, 16, 0, time.UTC), Took: bake.Duration(50 * time.Second),
	}
}

func TestVerdicts(t *testing.T) {
	verdicts := test.NewVerdicts(openCatalog(t))
	first := sample()
	if _, err := verdicts.Latest(t.Context(), first.Image); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("before any: %v", err)
	}
	if list, err := verdicts.List(t.Context(), first.Image); err != nil || len(list) != 0 {
		t.Errorf("before any: %v, %v", list, err)
	}
	first.Console = []string{"one"}
	second := first
	second.Results = first.Results[:1]
	for _, v := range []test.Verdict{first, second, second} {
		if err := verdicts.Record(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		got, err := verdicts.Latest(t.Context(), v.Image)
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("got %+v, %v, want %+v", got, err, v)
		}
	}
	list, err := verdicts.List(t.Context(), first.Image)
	if err != nil || !reflect.DeepEqual(list, []test.Verdict{first, second, second}) {
		t.Errorf("got %+v, %v", list, err)
	}
	other := bake.Ref{Name: "web", Version: first.Image.Version + "2"}
	if _, err := verdicts.Latest(t.Context(), other); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("a version that begins alike: %v", err)
	}
}

func TestVerdictsAtTheSameTime(t *testing.T) {
	c := openCatalog(t)
	var wg sync.WaitGroup
	const n = 8
	for i := range n {
		wg.Go(func() {
			v := sample()
			v.Console, v.Took = nil, bake.Duration(i)
			if err := test.NewVerdicts(c).Record(t.Context(), v); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	verdicts := test.NewVerdicts(c)
	list, err := verdicts.List(t.Context(), sample().Image)
	if err != nil || len(list) != n {
		t.Fatalf("%d verdicts, %v", len(list), err)
	}
	if got, err := verdicts.Latest(t.Context(), sample().Image); err != nil || !reflect.DeepEqual(got, list[n-1]) {
		t.Errorf("the head is not the newest: %+v, %v", got, err)
	}
	if problems, err := c.Verify(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("verify: %v, %v", problems, err)
	}
}

// A process that dies between the record and the head leaves a verdict that does not count, and nobody in the way.
func TestVerdictWithoutHead(t *testing.T) {
	c := openCatalog(t)
	v := sample()
	v.Console = nil
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Put(t.Context(), "verdicts/"+v.Image.Name+"/"+v.Image.Version+"/000001", body); err != nil {
		t.Fatal(err)
	}
	verdicts := test.NewVerdicts(c)
	if _, err := verdicts.Latest(t.Context(), v.Image); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	v.Took++
	if err := verdicts.Record(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if got, err := verdicts.Latest(t.Context(), v.Image); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Verify tells of a record that is missing; a verdict finds its place all the same.
func TestVerdictBehindAGap(t *testing.T) {
	c := openCatalog(t)
	v := sample()
	v.Console = nil
	if err := c.Put(t.Context(), "verdicts/"+v.Image.Name+"/"+v.Image.Version+"/000002", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	verdicts := test.NewVerdicts(c)
	if err := verdicts.Record(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if list, err := verdicts.List(t.Context(), v.Image); err != nil || len(list) != 2 || !reflect.DeepEqual(list[1], v) {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestJUnitGolden(t *testing.T) {
	got, err := test.JUnit(sample())
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/junit.golden.xml")
	if err != nil || string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s%v", got, want, err)
	}
}

// junitSchema is junit-10.xsd, the schema that Jenkins' xUnit plugin publishes: the attributes and children that each
// element may have, "!" before those that it must have.
var junitSchema = map[string]struct{ attributes, children []string }{
	"testsuites": {[]string{"name", "time", "tests", "failures", "disabled", "errors"}, []string{"testsuite"}},
	"testsuite": {
		[]string{"!name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "version"},
		[]string{"testsuite", "properties", "testcase", "system-out", "system-err"},
	},
	"testcase": {
		[]string{"!name", "time", "classname", "group"},
		[]string{"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out", "system-err"},
	},
	"failure":    {[]string{"message", "type"}, nil},
	"skipped":    {[]string{"message", "type"}, nil},
	"system-out": {nil, nil},
}

func TestJUnitSchema(t *testing.T) {
	for name, verdicts := range map[string][]test.Verdict{"full": {sample()}, "several": {sample(), sample()}, "empty": {{}}, "none": nil} {
		text, err := test.JUnit(verdicts...)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(text); err != nil {
			t.Errorf("%s: %v in\n%s", name, err, text)
		}
		if name == "several" && !strings.Contains(string(text), `tests="8" failures="2" time="100.000"`) {
			t.Errorf("the counts of several verdicts do not add up:\n%s", text)
		}
	}
}

func validate(text []byte) error {
	parents := []string{""}
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.StartElement:
			if err := validateElement(e, parents[len(parents)-1]); err != nil {
				return err
			}
			parents = append(parents, e.Name.Local)
		case xml.EndElement:
			parents = parents[:len(parents)-1]
		}
	}
}

func validateElement(e xml.StartElement, parent string) error {
	rule, known := junitSchema[e.Name.Local]
	if !known || parent != "" && !slices.Contains(junitSchema[parent].children, e.Name.Local) {
		return fmt.Errorf("element %s is not allowed in %q", e.Name.Local, parent)
	}
	var has []string
	for _, a := range e.Attr {
		has = append(has, a.Name.Local)
		if !slices.Contains(rule.attributes, a.Name.Local) && !slices.Contains(rule.attributes, "!"+a.Name.Local) {
			return fmt.Errorf("attribute %s is not allowed in %s", a.Name.Local, e.Name.Local)
		}
	}
	for _, a := range rule.attributes {
		if must, ok := strings.CutPrefix(a, "!"); ok && !slices.Contains(has, must) {
			return fmt.Errorf("element %s lacks attribute %s", e.Name.Local, must)
		}
	}
	return nil
}
