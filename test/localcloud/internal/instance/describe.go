package instance

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func scope(c *wire.Call) string { return c.Operation + "/" + c.Account + "/" + c.Region }

// query asks for instances of the caller.
func query(r *state.Region, c *wire.Call, ids []string, filters []ec2types.Filter, page kit.Page) listing.Query[*state.Instance] {
	return listing.Query[*state.Instance]{
		IDs: ids, Filters: filters, Page: page, None: &state.Instance{}, Attr: attribute,
		Get: func(id string) (*state.Instance, error) {
			found, err := find(r, c.Account, []string{id})
			if err != nil {
				return nil, err
			}
			return found[0], nil
		},
		All: func(yield func(*state.Instance) bool) {
			for _, in := range r.Instances.All() {
				if in.Account == c.Account && !yield(in) {
					return
				}
			}
		},
		Key: func(in *state.Instance) string { return aws.ToString(in.InstanceId) },
	}
}

func (s *Service) describe(_ context.Context, c *wire.Call, in *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
	out := &ec2.DescribeInstancesOutput{Reservations: []ec2types.Reservation{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		page := kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Default: 1000, Scope: scope(c)}
		if err := page.WithoutIDs("instancesSet", len(in.InstanceIds)); err != nil {
			return err
		}
		if len(in.InstanceIds) > 0 {
			page.Default = 0
			if _, err := find(r, c.Account, in.InstanceIds); err != nil { // names all that are missing
				return err
			}
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		found, next, err := listing.Run(query(r, c, in.InstanceIds, in.Filters, page))
		out.Reservations, out.NextToken = reservations(found), next
		return err
	})
}

// reservations groups instances by what they were launched with, in the order of their launch indexes.
func reservations(all []*state.Instance) []ec2types.Reservation {
	grouped, at := []ec2types.Reservation{}, map[string]int{}
	for _, in := range all {
		i, ok := at[in.Reservation]
		if !ok {
			i = len(grouped)
			at[in.Reservation] = i
			grouped = append(grouped, ec2types.Reservation{
				Groups: []ec2types.GroupIdentifier{}, OwnerId: &in.Account, ReservationId: &in.Reservation, RequesterId: requester(in),
			})
		}
		grouped[i].Instances = append(grouped[i].Instances, describeView(in))
	}
	for i := range grouped {
		slices.SortFunc(grouped[i].Instances, func(a, b ec2types.Instance) int {
			return cmp.Compare(aws.ToInt32(a.AmiLaunchIndex), aws.ToInt32(b.AmiLaunchIndex))
		})
	}
	return grouped
}

func (s *Service) describeStatus(_ context.Context, c *wire.Call, in *ec2.DescribeInstanceStatusInput) (*ec2.DescribeInstanceStatusOutput, error) {
	out := &ec2.DescribeInstanceStatusOutput{InstanceStatuses: []ec2types.InstanceStatus{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		page := kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: scope(c)}
		if err := page.WithoutIDs("instancesSet", len(in.InstanceIds)); err != nil {
			return err
		}
		if len(in.InstanceIds) > 0 {
			if _, err := find(r, c.Account, in.InstanceIds); err != nil {
				return err
			}
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		q := query(r, c, in.InstanceIds, in.Filters, page)
		q.Attr = statusAttribute
		every, all := aws.ToBool(in.IncludeAllInstances), q.All
		q.All = func(yield func(*state.Instance) bool) {
			for i := range all {
				if (every || i.State.Name == ec2types.InstanceStateNameRunning) && !yield(i) {
					return
				}
			}
		}
		found, next, err := listing.Run(q)
		for _, i := range found {
			if every || i.State.Name == ec2types.InstanceStateNameRunning {
				out.InstanceStatuses = append(out.InstanceStatuses, statusOf(i))
			}
		}
		out.NextToken = next
		return err
	})
}

// statusOf returns the checks of an instance. What the driver finds out is about the guest; the hardware under it and its volumes are well as soon as
// it runs long enough for a check.
func statusOf(in *state.Instance) ec2types.InstanceStatus {
	system := statusFor(in)
	status := ec2types.InstanceStatus{
		AvailabilityZone: in.Placement.AvailabilityZone, AvailabilityZoneId: in.Placement.AvailabilityZoneId, InstanceId: in.InstanceId,
		InstanceState: in.State, Operator: &ec2types.OperatorResponse{Managed: aws.Bool(false)},
		InstanceStatus: summary(in.Status), SystemStatus: summary(system),
		AttachedEbsStatus: &ec2types.EbsStatusSummary{Status: system},
	}
	if in.Status == ec2types.SummaryStatusImpaired {
		status.InstanceStatus.Details[0].ImpairedSince = aws.Time(in.Impaired)
	}
	if name := checkOf(in.Status); name != "" {
		status.AttachedEbsStatus.Details = []ec2types.EbsStatusDetails{{Name: ec2types.StatusNameReachability, Status: checkOf(system)}}
	}
	return status
}

// statusFor returns the status of what is under the guest of an instance.
func statusFor(in *state.Instance) ec2types.SummaryStatus {
	if in.Status == ec2types.SummaryStatusImpaired {
		return ec2types.SummaryStatusOk
	}
	return in.Status
}

func summary(status ec2types.SummaryStatus) *ec2types.InstanceStatusSummary {
	sum := &ec2types.InstanceStatusSummary{Status: status}
	if check := checkOf(status); check != "" {
		sum.Details = []ec2types.InstanceStatusDetails{{Name: ec2types.StatusNameReachability, Status: check}}
	}
	return sum
}

// checkOf returns how the one check stands behind a summary; an instance that does not run has none.
func checkOf(status ec2types.SummaryStatus) ec2types.StatusType {
	switch status {
	case ec2types.SummaryStatusOk:
		return ec2types.StatusTypePassed
	case ec2types.SummaryStatusImpaired:
		return ec2types.StatusTypeFailed
	case ec2types.SummaryStatusInitializing:
		return ec2types.StatusTypeInitializing
	case ec2types.SummaryStatusInsufficientData:
		return ec2types.StatusTypeInsufficientData
	case ec2types.SummaryStatusNotApplicable:
	}
	return ""
}
