package autoscaling

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) registerGroups(svc *wire.Service) {
	wire.Handle(svc, s.createAutoScalingGroup)
	wire.Handle(svc, s.updateAutoScalingGroup)
	wire.Handle(svc, s.deleteAutoScalingGroup)
	wire.Handle(svc, s.describeAutoScalingGroups)
	wire.Handle(svc, s.setDesiredCapacity)
	wire.Handle(svc, s.suspendProcesses)
	wire.Handle(svc, s.resumeProcesses)
	wire.Handle(svc, s.createOrUpdateTags)
	wire.Handle(svc, s.deleteTags)
	wire.Handle(svc, s.describeTags)
}

// edit calls f with a group to be changed, and has the group looked at afterwards.
func (s *Service) edit(c *wire.Call, name *string, f func(*state.Region, *state.Group) error) error {
	return s.store.Update(c.Region, func(r *state.Region) error {
		key := state.Key(c.Account, aws.ToString(name))
		g := r.Groups.Edit(key)
		if g == nil {
			return noGroup(aws.ToString(name))
		}
		if !g.DeletedAt.IsZero() {
			return deleting()
		}
		if err := f(r, g); err != nil {
			return err
		}
		s.wake(r, key)
		return nil
	})
}

// read calls f with a group.
func (s *Service) read(c *wire.Call, name *string, f func(*state.Region, *state.Group) error) error {
	return s.store.View(c.Region, func(r *state.Region) error {
		g := r.Groups.Get(state.Key(c.Account, aws.ToString(name)))
		if g == nil {
			return noGroup(aws.ToString(name))
		}
		return f(r, g)
	})
}

// own returns a deep copy of an input, of which a handler keeps parts.
func own[T any](given *T) (*T, error) {
	body, err := json.Marshal(given)
	if err != nil {
		return nil, fmt.Errorf("copy of %T: %w", given, err)
	}
	in := new(T)
	if err := json.Unmarshal(body, in); err != nil {
		return nil, fmt.Errorf("copy of %T: %w", given, err)
	}
	return in, nil
}

// groupsOf returns the groups of an account by name.
func groupsOf(r *state.Region, account string) []*state.Group {
	var all []*state.Group
	for _, g := range r.Groups.All() {
		if g.Account == account {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b *state.Group) int {
		return strings.Compare(aws.ToString(a.AutoScalingGroupName), aws.ToString(b.AutoScalingGroupName))
	})
	return all
}

// scope binds the tokens of an operation.
func scope(c *wire.Call) string { return c.Operation + "/" + c.Region + "/" + c.Account }

// page is what a request says about the page that it wants.
func page(c *wire.Call, size *int32, token *string, usual, limit int32) kit.Page {
	if size != nil { // documented is the limit; that more is no error is inferred
		size = aws.Int32(max(1, min(*size, limit)))
	}
	return kit.Page{
		Max: size, Token: token, Default: usual, Scope: scope(c),
		BadToken: wire.Errorf("InvalidNextToken", "The token '%s' is invalid.", aws.ToString(token)),
	}
}

func (s *Service) updateAutoScalingGroup(_ context.Context, c *wire.Call, given *as.UpdateAutoScalingGroupInput) (*as.UpdateAutoScalingGroupOutput, error) {
	in, err := own(given)
	if err != nil {
		return nil, err
	}
	return &as.UpdateAutoScalingGroupOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		changed := *g
		if err := configure(r, &changed, in); err != nil {
			return err
		}
		from, to := desired(g), desired(&changed)
		*g = changed
		if from != to {
			g.Cause = fmt.Sprintf("At %s a user request update of AutoScalingGroup constraints to min: %d, max: %d, desired: %d changing the desired capacity from %d to %d.",
				stamp(r.Now()), *g.MinSize, *g.MaxSize, to, from, to)
			hurry(r, g)
		}
		return nil
	})
}

// hurry lets the refresh of a group look at it again soon.
func hurry(r *state.Region, g *state.Group) {
	if rec := r.Refreshes.Get(g.ActiveRefresh); rec != nil && rec.Progress.Next.After(r.Now()) && replacing(rec) {
		if soon := r.Now().Add(pollInterval); rec.Progress.Next.After(soon) {
			r.Refreshes.Edit(g.ActiveRefresh).Progress.Next = soon
		}
	}
}

func (s *Service) deleteAutoScalingGroup(_ context.Context, c *wire.Call, in *as.DeleteAutoScalingGroupInput) (*as.DeleteAutoScalingGroupOutput, error) {
	return &as.DeleteAutoScalingGroupOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		key := state.Key(c.Account, aws.ToString(in.AutoScalingGroupName))
		g := r.Groups.Edit(key)
		if g == nil {
			return noGroup(aws.ToString(in.AutoScalingGroupName))
		}
		if err := deletable(g, aws.ToBool(in.ForceDelete)); err != nil || !g.DeletedAt.IsZero() {
			return err
		}
		g.DeletedAt = r.Now()
		g.Status = aws.String("Delete in progress")
		g.MinSize, g.MaxSize, g.DesiredCapacity = aws.Int32(0), aws.Int32(0), aws.Int32(0)
		s.wake(r, key)
		return nil
	})
}

// deletable returns the error where a group must not be deleted.
func deletable(g *state.Group, force bool) error {
	switch {
	case g.DeletionProtection == astypes.DeletionProtectionPreventAllDeletion, force && g.DeletionProtection == astypes.DeletionProtectionPreventForceDeletion:
		return invalid("You cannot delete AutoScalingGroup %s because its deletion protection is %s.", aws.ToString(g.AutoScalingGroupName), g.DeletionProtection)
	case force || len(g.Members) == 0:
		return nil
	case capacity(g) == 0:
		return wire.Errorf("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
	}
	return wire.Errorf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
}

func (s *Service) describeAutoScalingGroups(_ context.Context, c *wire.Call, in *as.DescribeAutoScalingGroupsInput) (*as.DescribeAutoScalingGroupsOutput, error) {
	out := &as.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []astypes.AutoScalingGroup{}}
	if _, err := tagged(&state.Group{}, in.Filters); err != nil {
		return nil, err
	}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		var found []*state.Group
		for _, g := range chosen(r, c.Account, in.AutoScalingGroupNames) {
			ok, err := tagged(g, in.Filters)
			if err != nil {
				return err
			}
			if ok {
				found = append(found, g)
			}
		}
		name := func(g *state.Group) string { return aws.ToString(g.AutoScalingGroupName) }
		part, next, err := kit.PaginateBy(found, name, page(c, in.MaxRecords, in.NextToken, 50, 100))
		for _, g := range part {
			out.AutoScalingGroups = append(out.AutoScalingGroups, describe(g, in.IncludeInstances == nil || *in.IncludeInstances))
		}
		out.NextToken = next
		return err
	})
}

// chosen returns the groups of these names, or all of the account, by name.
func chosen(r *state.Region, account string, names []string) []*state.Group {
	if len(names) == 0 {
		return groupsOf(r, account)
	}
	var all []*state.Group
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if g := r.Groups.Get(state.Key(account, name)); g != nil {
			all = append(all, g)
		}
	}
	return all
}

// describe returns a group as it is told, with copies of the lists that looks change.
func describe(g *state.Group, instances bool) astypes.AutoScalingGroup {
	d := g.AutoScalingGroup
	d.Instances = []astypes.Instance{}
	if instances {
		for i := range g.Members {
			d.Instances = append(d.Instances, g.Members[i].Instance)
		}
	}
	return d
}
