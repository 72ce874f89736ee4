// Package admin is what a local cloud answers beside the services of AWS, below /_iibake/ on the same port: how it is, its clock, its
// faults, what is left in it. Only this host may ask.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
)

// Prefix is that of the paths.
const Prefix = "/_iibake/"

// Status is how a cloud is.
type Status struct {
	Simulated bool       `json:"simulated"`
	Speed     string     `json:"speed"`   // of the clock: 1 for the host's
	Started   time.Time  `json:"started"` // on the host's clock
	Time      time.Time  `json:"time"`    // on the cloud's clock
	Folder    string     `json:"folder,omitempty"`
	Store     string     `json:"store"` // folder of the blocks
	Accounts  []string   `json:"accounts"`
	Regions   []Region   `json:"regions"`
	Instances []Instance `json:"instances"`
}

// Region says how many records of each kind a region has, by their names in package state; kinds without records are left out.
type Region struct {
	Name   string         `json:"name"`
	Counts map[string]int `json:"counts"`
}

// Instance is an instance, also one that was terminated lately.
type Instance struct {
	ID       string    `json:"id"`
	Region   string    `json:"region"`
	Account  string    `json:"account"`
	Name     string    `json:"name,omitempty"` // its tag
	State    string    `json:"state"`
	Status   string    `json:"status,omitempty"` // of its checks
	Type     string    `json:"type"`
	Image    string    `json:"image"`
	Address  string    `json:"address,omitempty"` // where it answers on this host
	Group    string    `json:"group,omitempty"`   // Auto Scaling group
	Launched time.Time `json:"launched"`
}

// Resource is something that exists in a cloud until somebody deletes it. A bucket, whose name is one in all accounts, has no account here.
type Resource struct {
	Region  string `json:"region"`
	Account string `json:"account"`
	Type    string `json:"type"` // as EC2 names types in tag specifications: instance, snapshot, launch-template, auto-scaling-group
	ID      string `json:"id"`   // or its name, where it has no identifier
}

// Image is a disk of the block store that is to be an AMI.
type Image struct {
	Region  string            `json:"region"`
	Account string            `json:"account"`
	Name    string            `json:"name"` // no other image of the account has it
	Disk    bake.Digest       `json:"disk"` // its manifest
	Arch    bake.Arch         `json:"arch"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// Client asks a cloud. Its errors repeat what the cloud said.
type Client struct {
	Endpoint string       // such as http://127.0.0.1:4580
	HTTP     *http.Client // nil stands for http.DefaultClient
}

// Health returns nil when the cloud answers.
func (c Client) Health(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "health", nil, nil)
}

// Status returns how the cloud is.
func (c Client) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, http.MethodGet, "status", nil, &s)
	return s, err
}

// Reset ends every machine and forgets everything.
func (c Client) Reset(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "reset", nil, nil)
}

// Advance moves a simulated cloud's clock on, with all that happens meanwhile, and returns what it shows then.
func (c Client) Advance(ctx context.Context, d time.Duration) (time.Time, error) {
	var answer struct {
		Time time.Time `json:"time"`
	}
	err := c.call(ctx, http.MethodPost, "clock?advance="+url.QueryEscape(d.String()), nil, &answer)
	return answer.Time, err
}

// SetFaults replaces the rules by which the cloud fails; an empty document removes them all.
func (c Client) SetFaults(ctx context.Context, rules []byte) error {
	return c.call(ctx, http.MethodPut, "faults", rules, nil)
}

// Import registers an image whose blocks are in the cloud's store already, and returns its id.
func (c Client) Import(ctx context.Context, img Image) (id string, err error) {
	body, err := json.Marshal(img)
	if err != nil {
		return "", err
	}
	var answer struct {
		ID string `json:"id"`
	}
	err = c.call(ctx, http.MethodPost, "images", body, &answer)
	return answer.ID, err
}

// Leaked returns the resources that exist.
func (c Client) Leaked(ctx context.Context) (all []Resource, err error) {
	err = c.call(ctx, http.MethodGet, "leaked", nil, &all)
	return all, err
}

// Console returns what the serial console of an instance has shown, the last 64 KiB at most, and whether more may follow.
func (c Client) Console(ctx context.Context, id string) (text []byte, running bool, err error) {
	var answer Console
	err = c.call(ctx, http.MethodGet, "console?instance="+url.QueryEscape(id), nil, &answer)
	return answer.Text, answer.Running, err
}

// Console is the answer to a request for a console.
type Console struct {
	Text    []byte `json:"text"`
	Running bool   `json:"running"` // more may follow
}

// Error is the answer that says no.
type Error struct {
	Status int    `json:"-"`
	Text   string `json:"error"`
}

// Error returns what the cloud said.
func (e *Error) Error() string { return e.Text }

func (c Client) call(ctx context.Context, method, path string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.Endpoint+Prefix+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the local cloud: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return readError(resp)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("ask the local cloud for %s: %w", path, err)
	}
	return nil
}

func readError(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if json.Unmarshal(text, e) != nil || e.Text == "" {
		e.Text = strings.TrimSpace(resp.Status + " " + string(text))
	}
	return e
}
