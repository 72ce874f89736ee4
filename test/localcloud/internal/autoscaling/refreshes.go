package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// history is how long refreshes are told of, as documented.
const history = 6 * 7 * 24 * time.Hour

func (s *Service) registerRefreshes(svc *wire.Service) {
	wire.Handle(svc, s.startInstanceRefresh)
	wire.Handle(svc, s.cancelInstanceRefresh)
	wire.Handle(svc, s.rollbackInstanceRefresh)
	wire.Handle(svc, s.describeInstanceRefreshes)
}

// replacing reports whether a refresh replaces instances.
func replacing(r *state.Refresh) bool { return refresh.Replaces(r.Progress.Status) }

func (s *Service) startInstanceRefresh(_ context.Context, c *wire.Call, given *as.StartInstanceRefreshInput) (*as.StartInstanceRefreshOutput, error) {
	in, err := own(given)
	if err != nil {
		return nil, err
	}
	out := &as.StartInstanceRefreshOutput{}
	return out, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		if g.ActiveRefresh != "" {
			return wire.Errorf("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
		}
		rec, err := newRefresh(r, g, in)
		if err != nil {
			return err
		}
		if rec.Strategy == astypes.RefreshStrategyReplaceRootVolume {
			if err := s.checkRoots(r, g, rec); err != nil {
				return err
			}
		}
		id := aws.ToString(rec.InstanceRefreshId)
		forget(r, g)
		r.Refreshes.Put(id, rec)
		g.RefreshIDs = append(g.RefreshIDs, id)
		g.ActiveRefresh, out.InstanceRefreshId = id, &id
		return nil
	})
}

// newRefresh returns the record of a refresh that is pending.
func newRefresh(r *state.Region, g *state.Group, in *as.StartInstanceRefreshInput) (*state.Refresh, error) {
	rec := &state.Refresh{Account: g.Account, GroupARN: aws.ToString(g.AutoScalingGroupARN), Asked: r.Now(), BeforeTemplate: g.LaunchTemplate, BeforePolicy: g.MixedInstancesPolicy}
	rec.AutoScalingGroupName, rec.InstanceRefreshId = g.AutoScalingGroupName, aws.String(kit.UUID())
	rec.Strategy = in.Strategy
	if rec.Strategy == "" {
		rec.Strategy = astypes.RefreshStrategyRolling
	}
	if err := checkPreferences(in); err != nil {
		return nil, err
	}
	var err error
	if rec.DesiredConfiguration, err = desiredConfiguration(r, g, in.DesiredConfiguration); err != nil {
		return nil, err
	}
	rec.Preferences = preferences(g, in.Preferences)
	if aws.ToBool(rec.Preferences.AutoRollback) {
		if err := reversible(r, g, rec); err != nil {
			return nil, err
		}
	}
	wait := startDelay
	switch {
	case desired(g) == 0 && len(g.Members) == 0:
		wait = startDelayEmpty
	case rec.DesiredConfiguration != nil:
		wait = startDelayDesired
	}
	rec.Progress = refresh.Progress{Status: astypes.InstanceRefreshStatusPending, Next: r.Now().Add(wait)}
	show(rec)
	return rec, nil
}

// desiredConfiguration returns what a request wants, as it is told. Recorded: the launch template has both id and name, and the version as given.
func desiredConfiguration(r *state.Region, g *state.Group, given *astypes.DesiredConfiguration) (*astypes.DesiredConfiguration, error) {
	switch {
	case given == nil || given.LaunchTemplate == nil && given.MixedInstancesPolicy == nil:
		return nil, nil //nolint:nilnil // a refresh without one is fine
	case given.LaunchTemplate != nil && given.MixedInstancesPolicy != nil:
		return nil, invalid("The request isn't valid. The DesiredConfiguration parameter can have either a LaunchTemplate or a MixedInstancesPolicy.")
	case given.LaunchTemplate != nil:
		t, err := fillIn(r, g.Account, given.LaunchTemplate)
		return &astypes.DesiredConfiguration{LaunchTemplate: t}, err
	}
	p, err := fillInPolicy(r, g.Account, given.MixedInstancesPolicy)
	return &astypes.DesiredConfiguration{MixedInstancesPolicy: p}, err
}

// preferences returns those of a request with the defaults that the service fills in. Recorded: what is not here is absent unless given.
func preferences(g *state.Group, given *astypes.RefreshPreferences) *astypes.RefreshPreferences {
	p := astypes.RefreshPreferences{}
	if given != nil {
		p = *given
	}
	if m := g.InstanceMaintenancePolicy; m != nil && p.MinHealthyPercentage == nil {
		p.MinHealthyPercentage, p.MaxHealthyPercentage = m.MinHealthyPercentage, m.MaxHealthyPercentage
	}
	p.MinHealthyPercentage = first(p.MinHealthyPercentage, aws.Int32(90))
	p.InstanceWarmup = first(p.InstanceWarmup, first(g.DefaultInstanceWarmup, g.HealthCheckGracePeriod))
	p.SkipMatching = first(p.SkipMatching, aws.Bool(false))
	p.AutoRollback = first(p.AutoRollback, aws.Bool(false))
	p.AlarmSpecification = first(p.AlarmSpecification, &astypes.AlarmSpecification{})
	return &p
}

// reversible returns the error where a refresh could not be rolled back, in the cases that the user guide names.
func reversible(r *state.Region, g *state.Group, rec *state.Refresh) error {
	var why string
	switch c := before(rec); {
	case rec.DesiredConfiguration == nil:
		why = "the instance refresh has no desired configuration"
	case !c.named():
		why = "the Auto Scaling group uses the launch template's $Latest or $Default version"
	case c.parameter(r, g.Account):
		why = "the Auto Scaling group has a launch template that uses an AWS Systems Manager parameter instead of an AMI ID"
	default:
		return nil
	}
	return wire.Errorf("IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back because %s.", why)
}

// forget drops refreshes of a group that are too old to be told of.
func forget(r *state.Region, g *state.Group) {
	g.RefreshIDs = slices.DeleteFunc(slices.Clone(g.RefreshIDs), func(id string) bool {
		old := !recent(r, r.Refreshes.Get(id))
		if old {
			r.Refreshes.Delete(id)
		}
		return old
	})
}

func recent(r *state.Region, rec *state.Refresh) bool { return r.Now().Sub(rec.Asked) <= history }

func (s *Service) cancelInstanceRefresh(_ context.Context, c *wire.Call, in *as.CancelInstanceRefreshInput) (*as.CancelInstanceRefreshOutput, error) {
	out := &as.CancelInstanceRefreshOutput{}
	return out, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		rec := r.Refreshes.Edit(g.ActiveRefresh)
		if rec == nil {
			return wire.Errorf("ActiveInstanceRefreshNotFound", "No in progress, baking, pending, or cancelling Instance Refresh found for Auto Scaling group %s.", aws.ToString(g.AutoScalingGroupName))
		}
		out.InstanceRefreshId = rec.InstanceRefreshId
		if rec.Progress.Status != astypes.InstanceRefreshStatusCancelling {
			rec.Progress = rec.Progress.Cancel(r.Now(), in.WaitForTransitioningInstances == nil || *in.WaitForTransitioningInstances)
			show(rec)
		}
		return nil
	})
}

func (s *Service) rollbackInstanceRefresh(_ context.Context, c *wire.Call, in *as.RollbackInstanceRefreshInput) (*as.RollbackInstanceRefreshOutput, error) {
	out := &as.RollbackInstanceRefreshOutput{}
	return out, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		rec := r.Refreshes.Edit(g.ActiveRefresh)
		if rec == nil || rec.Progress.Status != astypes.InstanceRefreshStatusInProgress && rec.Progress.Status != astypes.InstanceRefreshStatusBaking {
			return wire.Errorf("ActiveInstanceRefreshNotFound", "No in progress or baking Instance Refresh found for Auto Scaling group %s.", aws.ToString(g.AutoScalingGroupName))
		}
		if err := reversible(r, g, rec); err != nil {
			return err
		}
		rec.Progress = rec.Progress.RollBack(r.Now(), "user request")
		show(rec)
		out.InstanceRefreshId = rec.InstanceRefreshId
		return nil
	})
}

func (s *Service) describeInstanceRefreshes(_ context.Context, c *wire.Call, in *as.DescribeInstanceRefreshesInput) (*as.DescribeInstanceRefreshesOutput, error) {
	out := &as.DescribeInstanceRefreshesOutput{InstanceRefreshes: []astypes.InstanceRefresh{}}
	return out, s.read(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		now := r.Now()
		found := refreshesOf(r, g, in.InstanceRefreshIds)
		part, next, err := kit.Paginate(found, page(c, in.MaxRecords, in.NextToken, 50, 100))
		for _, rec := range part {
			told := rec.InstanceRefresh
			if text := rec.Progress.Text(now); text != "" {
				told.StatusReason = &text
			}
			out.InstanceRefreshes = append(out.InstanceRefreshes, told)
		}
		out.NextToken = next
		return err
	})
}

// refreshesOf returns the refreshes of a group, or those of these ids, newest first.
func refreshesOf(r *state.Region, g *state.Group, ids []string) []*state.Refresh {
	var found []*state.Refresh
	for _, id := range slices.Backward(g.RefreshIDs) {
		if rec := r.Refreshes.Get(id); recent(r, rec) && (len(ids) == 0 || slices.Contains(ids, id)) {
			found = append(found, rec)
		}
	}
	return found
}
