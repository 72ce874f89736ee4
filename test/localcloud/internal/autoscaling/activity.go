package autoscaling

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxActivities is how many activities of a group are kept. The service keeps those of six weeks; a group here has no use for so many.
const maxActivities = 200

// stamp writes a time as causes of activities have it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// begin adds an activity for an instance, which becomes the one that it has under way.
func (l *look) begin(m *state.Member, description, cause string, progress int32) {
	m.Activity = l.addActivity(m, description, cause, astypes.ScalingActivityStatusCodeInProgress, progress)
}

func (l *look) addActivity(m *state.Member, description, cause string, status astypes.ScalingActivityStatusCode, progress int32) string {
	g, id := l.group, kit.UUID()
	if len(g.Activities) >= maxActivities {
		g.Activities = slices.Delete(g.Activities, 0, len(g.Activities)-maxActivities+1)
	}
	g.Activities = append(g.Activities, astypes.Activity{
		ActivityId: &id, AutoScalingGroupName: g.AutoScalingGroupName, AutoScalingGroupARN: g.AutoScalingGroupARN,
		AutoScalingGroupState: aws.String("InService"), Description: &description, Cause: &cause,
		StartTime: aws.Time(l.now.Truncate(time.Millisecond)), StatusCode: status, Progress: &progress, Details: details(m),
	})
	return id
}

// details are where an instance is, as JSON text. Recorded: in this order.
func details(m *state.Member) *string {
	if m.Subnet == "" {
		return aws.String(fmt.Sprintf(`{"Availability Zone ID":%q,"Availability Zone":%q}`, aws.ToString(m.AvailabilityZoneId), aws.ToString(m.AvailabilityZone)))
	}
	return aws.String(fmt.Sprintf(`{"Availability Zone ID":%q,"Subnet ID":%q,"Availability Zone":%q}`,
		aws.ToString(m.AvailabilityZoneId), m.Subnet, aws.ToString(m.AvailabilityZone)))
}

// activity returns the one that an instance has under way, or nil. The newest are last, so that is where it is.
func (l *look) activity(m *state.Member) *astypes.Activity {
	for i := len(l.group.Activities) - 1; i >= 0 && m.Activity != ""; i-- {
		if a := &l.group.Activities[i]; aws.ToString(a.ActivityId) == m.Activity {
			return a
		}
	}
	return nil
}

// note says how far the activity of an instance is.
func (l *look) note(m *state.Member, status astypes.ScalingActivityStatusCode, progress int32) {
	if a := l.activity(m); a != nil {
		a.StatusCode, a.Progress = status, &progress
	}
}

// finish ends the activity of an instance well.
func (l *look) finish(m *state.Member) { l.end(m, astypes.ScalingActivityStatusCodeSuccessful, "") }

// end ends the activity of an instance. Recorded: the time of the end is in whole seconds.
func (l *look) end(m *state.Member, status astypes.ScalingActivityStatusCode, message string) {
	if a := l.activity(m); a != nil {
		a.StatusCode, a.Progress, a.EndTime = status, aws.Int32(100), aws.Time(l.now.Truncate(time.Second))
		if message != "" {
			a.StatusMessage = &message
		}
	}
	m.Activity = ""
}

func (s *Service) describeScalingActivities(_ context.Context, c *wire.Call, in *as.DescribeScalingActivitiesInput) (*as.DescribeScalingActivitiesOutput, error) {
	out := &as.DescribeScalingActivitiesOutput{Activities: []astypes.Activity{}}
	match, err := activityFilter(in.Filters)
	if err != nil {
		return nil, err
	}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		found, err := activities(r, c.Account, in, match)
		if err != nil {
			return err
		}
		out.Activities, out.NextToken, err = kit.Paginate(found, page(c, in.MaxRecords, in.NextToken, 100, 100))
		return err
	})
}

// activities returns the activities that a request asks for, newest first.
func activities(r *state.Region, account string, in *as.DescribeScalingActivitiesInput, match func(*astypes.Activity) bool) ([]astypes.Activity, error) {
	var groups []*state.Group
	if in.AutoScalingGroupName != nil {
		g := r.Groups.Get(state.Key(account, *in.AutoScalingGroupName))
		if g == nil && !aws.ToBool(in.IncludeDeletedGroups) {
			return nil, noGroup(*in.AutoScalingGroupName)
		} else if g != nil {
			groups = append(groups, g)
		}
	} else {
		groups = groupsOf(r, account)
	}
	found := []astypes.Activity{}
	for _, g := range groups {
		for _, a := range slices.Backward(g.Activities) {
			if match(&a) && (len(in.ActivityIds) == 0 || slices.Contains(in.ActivityIds, aws.ToString(a.ActivityId))) {
				found = append(found, a)
			}
		}
	}
	if len(groups) > 1 {
		slices.SortStableFunc(found, func(a, b astypes.Activity) int { return b.StartTime.Compare(*a.StartTime) })
	}
	return found, nil
}

// activityFilter reads the filters that the operation has.
func activityFilter(filters []astypes.Filter) (func(*astypes.Activity) bool, error) {
	match := func(*astypes.Activity) bool { return true }
	for _, f := range filters {
		before := match
		var test func(a *astypes.Activity) bool
		switch name := aws.ToString(f.Name); name {
		case "Status":
			test = func(a *astypes.Activity) bool { return slices.Contains(f.Values, string(a.StatusCode)) }
		case "StartTimeLowerBound", "StartTimeUpperBound":
			if len(f.Values) != 1 {
				return nil, invalid("Filter %s takes one value.", name)
			}
			bound, err := time.Parse(time.RFC3339, f.Values[0])
			if err != nil {
				return nil, invalid("Invalid timestamp %s in filter %s.", f.Values[0], name)
			}
			lower := name == "StartTimeLowerBound"
			test = func(a *astypes.Activity) bool {
				return lower && !a.StartTime.Before(bound) || !lower && !a.StartTime.After(bound)
			}
		default:
			return nil, invalid("Filter type %s is not correct. Allowed filter types are: Status StartTimeLowerBound StartTimeUpperBound", name)
		}
		match = func(a *astypes.Activity) bool { return before(a) && test(a) }
	}
	return match, nil
}
