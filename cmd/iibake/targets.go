package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/template"
)

// localEndpoint is what iibake.yaml calls the cloud on this machine.
const localEndpoint = "local"

// defaultRegion is where targets of the cloud on this machine are that name no region.
const defaultRegion = "eu-west-1"

// targets are those of a project: one set, for all that is asked of an account counts together.
type targets struct {
	set *target.Set
	// absent says why some cannot be used: the cloud on this machine is not up. A command that needs no such target does not fail.
	absent map[string]error
}

// openTargets returns the targets of the project. Nobody is asked yet.
func openTargets(c *cli.Context, p *template.Project) targets {
	t := targets{absent: map[string]error{}}
	var specs []target.Spec
	for name, in := range p.Targets {
		spec, err := targetSpec(c, name, in)
		if err != nil {
			t.absent[name] = err
			continue
		}
		specs = append(specs, spec)
	}
	t.set = target.NewSet(specs, target.Options{})
	return t
}

func targetSpec(c *cli.Context, name string, t template.Target) (target.Spec, error) {
	s := target.Spec{Name: name, Endpoint: t.Endpoint, Region: t.Region, RoleARN: t.RoleARN}
	if t.Endpoint != localEndpoint {
		return s, nil
	}
	cloud, _, err := findCloud(c)
	if err != nil {
		return s, fmt.Errorf("target %s: %w", name, err)
	}
	s.Endpoint, s.Region, s.AccessKey = cloud.Endpoint, cmp.Or(t.Region, defaultRegion), defaultAccount
	return s, nil
}

// need returns why one of these targets cannot be used.
func (t targets) need(names ...string) error {
	for _, name := range names {
		if err := t.absent[name]; err != nil {
			return err
		}
	}
	return nil
}

// get returns a target whose credentials work.
func (t targets) get(ctx context.Context, name string) (*target.Target, error) {
	if err := t.need(name); err != nil {
		return nil, err
	}
	found, err := t.set.Get(ctx, name)
	if errors.Is(err, bake.ErrNotFound) {
		return nil, withHint(err, "iibake.yaml lists the targets")
	}
	return found, withTargetHint(err)
}

// policyHint is for whoever lacks a permission.
const policyHint = "iibake iam-policy prints the permissions that each command needs"

// withTargetHint says what to do about an account that cannot be used.
func withTargetHint(err error) error {
	switch {
	case errors.Is(err, target.ErrDenied):
		return withHint(err, policyHint)
	case errors.Is(err, target.ErrCredentials):
		return withHint(err, "aws sts get-caller-identity says whose credentials there are")
	case errors.Is(err, target.ErrNetwork):
		return withHint(err, "iibake.yaml has the endpoint and the region of the target: is the network there, and a proxy, where one is needed, in HTTPS_PROXY?")
	case errors.Is(err, target.ErrThrottled):
		return withHint(err, "somebody else asks the account, too: wait a while, and run it again")
	}
	return err
}
