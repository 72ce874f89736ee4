package localcloud_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/test/localcloud"
)

var update = flag.Bool("update", false, "rewrite what is generated")

// The list of operations in README.md is that of the handlers.
func TestOperationsAreDocumented(t *testing.T) {
	const begin, end = "<!-- operations -->\n", "<!-- /operations -->"
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("README.md has lost its markers")
	}
	want := before + begin + operationsTable(simulated(t, localcloud.Config{})) + end + after
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Error("README.md lists other operations than there are: go test ./test/localcloud -run TestOperations -update")
	}
}

func operationsTable(c *localcloud.Cloud) string {
	var b strings.Builder
	b.WriteString("\n| service | operations |\n|---|---|\n")
	all := c.Operations()
	for _, service := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "| %s | %s |\n", service, strings.Join(all[service], ", "))
	}
	return b.String() + "\n"
}
