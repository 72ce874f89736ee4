package models_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// listed reads operations.txt: the operations of each model.
func listed(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	var name string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "\t"):
			found[name] = append(found[name], words...)
		case len(words) == 2 && words[0] != "#":
			name = words[1]
		}
	}
	return found
}

func TestModelsAreOfTheListedOperations(t *testing.T) {
	for service, operations := range listed(t) {
		m, err := models.Load(service)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Protocols) == 0 || m.Version == "" || len(m.Operations) == 0 {
			t.Errorf("%s: %v %q", service, m.Protocols, m.Version)
		}
		if operations[0] == "*" {
			continue
		}
		for _, name := range operations {
			if m.Operations[name] == nil {
				t.Errorf("%s has no %s: run prune.py", service, name)
			}
		}
		for name := range m.Operations {
			if !slices.Contains(operations, name) {
				t.Errorf("%s %s is not listed: run prune.py", service, name)
			}
		}
	}
}

func TestShapesAreLinked(t *testing.T) {
	m, err := models.Load("ebs")
	if err != nil {
		t.Fatal(err)
	}
	start := m.Operations["StartSnapshot"]
	if start.Method != http.MethodPost || start.Path != "/snapshots" || start.Status != 201 || start.Input.Members[0].Shape.Type != "long" {
		t.Errorf("got %+v", start)
	}
	put := m.Operations["PutSnapshotBlock"].Input
	for _, member := range put.Members {
		switch {
		case member.Name == "BlockIndex" && (member.Shape.Min == nil || *member.Shape.Min != 0):
			t.Error("zero is no limit of BlockIndex")
		case member.Name == "ChecksumAlgorithm" && len(member.Shape.Enum) > 0:
			t.Error("the correction of ChecksumAlgorithm is lost")
		}
	}
}

func TestUnknownService(t *testing.T) {
	if _, err := models.Load("iam"); err == nil || !strings.Contains(err.Error(), `no model of service "iam"`) {
		t.Errorf("got %v", err)
	}
}
