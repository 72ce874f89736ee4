package survey

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// query is a call that answers for one group or launch template alone.
type query struct {
	site *site
	rank int // the lower, the more it tells
	part promote.Part
	do   func(context.Context) error
}

// The ranks: what is known to move, launch template versions that nobody knows, what looks as if it moved, and the rest.
const (
	moving = iota
	unknown
	mixed
	calm
)

// account is the targets of one account, whose calls count together.
type account []*site

// accounts puts sites together. Those whose account is not known make no calls.
func accounts(sites []*site) []account {
	byAccount := map[string]int{}
	var all []account
	for _, s := range sites {
		if s.t == nil {
			continue
		}
		key := s.t.Endpoint + "/" + s.Account
		i, ok := byAccount[key]
		if !ok {
			i, all = len(all), append(all, nil)
			byAccount[key] = i
		}
		all[i] = append(all[i], s)
	}
	return all
}

// spend gives the calls that are left to the queries that tell most. An account that has used up its calls for what had to be asked
// still gets one for each target.
func (a account) spend() {
	left := callsEach - callsToOpen
	var queries []query
	for _, s := range a {
		left -= int(s.calls.Load()) + 1 // for its images
		queries = append(queries, s.queries()...)
	}
	slices.SortStableFunc(queries, func(x, y query) int { return cmp.Compare(x.rank, y.rank) })
	for _, q := range queries[:min(len(queries), max(left, len(a)))] {
		q.site.grant = append(q.site.grant, q)
	}
}

// queries returns everything that could be asked of the site's groups one by one.
func (s *site) queries() []query {
	var all []query
	versions := map[string][]string{}
	for _, name := range s.names {
		rank := calm
		switch g := s.Groups[name]; {
		case slices.Contains(s.ask.Moving, name):
			rank = moving
		case unsettled(g):
			rank = mixed
		}
		if !s.ask.Still {
			all = append(all, query{s, rank, promote.PartRefreshes, func(ctx context.Context) error { return s.refresh(ctx, name) }})
		}
		for _, l := range s.Groups[name].Current {
			if l.AMI == "" && l.Version != "" && !slices.Contains(versions[l.Template], l.Version) {
				versions[l.Template] = append(versions[l.Template], l.Version)
			}
		}
	}
	for template, numbers := range versions {
		all = append(all, query{s, unknown, promote.PartTemplates, func(ctx context.Context) error { return s.versions(ctx, template, numbers) }})
	}
	return all
}

// unsettled reports whether a group looks as if its instances were being replaced.
func unsettled(g promote.Group) bool {
	return slices.ContainsFunc(g.Instances, func(in promote.Instance) bool {
		return in.Leaving || !in.Healthy || !slices.ContainsFunc(g.Current, func(l promote.Launch) bool { return l.Template == in.Template && l.Version == in.Version })
	})
}

// refresh asks for the newest refresh of a group.
func (s *site) refresh(ctx context.Context, name string) error {
	s.calls.Add(1)
	out, err := target.AutoScaling(s.t).DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{
		AutoScalingGroupName: &name, MaxRecords: aws.Int32(1),
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.Groups[name]
	g.Asked = true
	if len(out.InstanceRefreshes) > 0 {
		g.Refresh = refreshOf(out.InstanceRefreshes[0])
	}
	s.Groups[name] = g
	return nil
}

// refreshOf returns a refresh that runs, or nil for one that has ended.
func refreshOf(r astypes.InstanceRefresh) *promote.Refresh {
	state, ok := map[astypes.InstanceRefreshStatus]promote.State{
		astypes.InstanceRefreshStatusPending:            promote.Waiting,
		astypes.InstanceRefreshStatusInProgress:         promote.Replacing,
		astypes.InstanceRefreshStatusBaking:             promote.Soaking,
		astypes.InstanceRefreshStatusCancelling:         promote.Cancelling,
		astypes.InstanceRefreshStatusRollbackInProgress: promote.GoingBack,
	}[r.Status]
	if !ok {
		return nil
	}
	return &promote.Refresh{
		ID: aws.ToString(r.InstanceRefreshId), State: state, Percent: int(aws.ToInt32(r.PercentageComplete)),
		Reason: strings.TrimSpace(aws.ToString(r.StatusReason)), Since: aws.ToTime(r.StartTime),
	}
}

// versions asks which AMIs some versions of a launch template have.
func (s *site) versions(ctx context.Context, template string, numbers []string) error {
	s.calls.Add(1)
	out, err := target.EC2(s.t).DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &template, Versions: numbers})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range out.LaunchTemplateVersions {
		if v.LaunchTemplateData == nil {
			continue
		}
		ami := aws.ToString(v.LaunchTemplateData.ImageId)
		for _, g := range s.Groups {
			for i, l := range g.Current {
				if l.Template == template && l.Version == number(v.VersionNumber) && strings.HasPrefix(ami, "ami-") {
					g.Current[i].AMI = ami
				}
			}
		}
	}
	return nil
}
