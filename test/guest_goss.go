package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goss-org/goss"
	"github.com/goss-org/goss/resource"
	"github.com/goss-org/goss/util"

	"github.com/iibake/iibake/bake"
)

const (
	// gossPatience is for services that systemd counts as started before they listen; on an emulated machine that takes a
	// while. A file that passes at once costs none of it.
	gossPatience = 20 * time.Second
	gossPause    = time.Second
)

// runGoss evaluates the goss file of a request until it passes or patience ends, and returns the results of the last time.
func runGoss(ctx context.Context, req guestRequest) []Result {
	dir, err := req.unpack()
	defer func() { _ = os.RemoveAll(dir) }()
	if err != nil {
		return []Result{{Name: "goss", Status: Fail, Detail: "unpack the goss file: " + err.Error()}}
	}
	for end := time.Now().Add(gossPatience); ; {
		results, err := evaluate(filepath.Join(dir, filepath.FromSlash(req.Goss)))
		if err != nil {
			return []Result{{Name: "goss", Status: Fail, Detail: fmt.Sprintf("%s: %v", req.Goss, err)}}
		}
		if (Verdict{Results: results}).Passed() || time.Now().After(end) {
			return results
		}
		select {
		case <-ctx.Done():
			return results
		case <-time.After(gossPause):
		}
	}
}

// gossReport is the part of goss's JSON output that is of use here.
type gossReport struct {
	Results []struct {
		Title   string        `json:"title"`
		Type    string        `json:"resource-type"`
		ID      string        `json:"resource-id"`
		Prop    string        `json:"property"`
		Result  int           `json:"result"`
		Took    time.Duration `json:"duration"`
		Summary string        `json:"summary-line"`
	} `json:"results"`
}

func evaluate(file string) ([]Result, error) {
	var out bytes.Buffer
	config, err := util.NewConfig(util.WithSpecFile(file), util.WithOutputFormat("json"), util.WithResultWriter(&out))
	if err != nil {
		return nil, err
	}
	if _, err := goss.Validate(config); err != nil {
		return nil, err
	}
	var report gossReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return nil, fmt.Errorf("goss's report: %w", err)
	}
	results := make([]Result, 0, len(report.Results))
	for _, g := range report.Results {
		r := Result{Name: fmt.Sprintf("goss: %s %s: %s", g.Type, g.ID, g.Prop), Took: bake.Duration(g.Took)}
		switch g.Result {
		case resource.SUCCESS:
			r.Status = Pass
		case resource.SKIP:
			r.Status, r.Detail = Skip, "the goss file says so, or a check that it depends on failed"
		default:
			r.Status, r.Detail = Fail, g.Summary
		}
		if g.Title != "" {
			r.Name += " (" + g.Title + ")"
		}
		results = append(results, r)
	}
	return results, nil
}
