package autoscaling_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// raw calls f with a client and returns the status and the body of the last answer to it.
func (w *world) raw(f func(*as.Client)) (status int, body string) {
	w.Helper()
	options := w.client.Options()
	options.HTTPClient = recorder{options.HTTPClient, &status, &body}
	f(as.New(options))
	return status, body
}

type recorder struct {
	next   as.HTTPClient
	status *int
	body   *string
}

func (r recorder) Do(q *http.Request) (*http.Response, error) {
	a, err := r.next.Do(q)
	if err != nil {
		return a, err
	}
	body, err := io.ReadAll(a.Body)
	*r.status, *r.body = a.StatusCode, string(body)
	a.Body = io.NopCloser(bytes.NewReader(body))
	return a, err
}

// Recorded: the members of a refresh in each state, as XML. What is not there is absent, not empty.
func TestMembersOfARefreshOnTheWire(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2")})
	members := func() string {
		_, body := w.raw(func(c *as.Client) {
			must(c.DescribeInstanceRefreshes(t.Context(), &as.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("g")}))
		})
		_, body, _ = strings.Cut(body, "<InstanceRefreshes><member>")
		body, _, _ = strings.Cut(body, "</member></InstanceRefreshes>")
		return topLevel(body)
	}
	always := "AutoScalingGroupName DesiredConfiguration "
	if got, want := members(), always+"InstanceRefreshId Preferences Status Strategy"; got != want {
		t.Errorf("pending:\n%s\n%s", got, want)
	}
	w.at(11)
	if got, want := members(), always+"InstanceRefreshId InstancesToUpdate PercentageComplete Preferences StartTime Status Strategy"; got != want {
		t.Errorf("in progress:\n%s\n%s", got, want)
	}
	w.at(40)
	if got, want := members(), always+"InstanceRefreshId InstancesToUpdate PercentageComplete Preferences StartTime Status StatusReason Strategy"; got != want {
		t.Errorf("waiting:\n%s\n%s", got, want)
	}
	must(w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
	w.at(44)
	if got, want := members(), always+"InstanceRefreshId InstancesToUpdate PercentageComplete Preferences RollbackDetails StartTime Status StatusReason Strategy"; got != want {
		t.Errorf("rolling back:\n%s\n%s", got, want)
	}
	w.at(400)
	if got, want := members(), always+"EndTime InstanceRefreshId InstancesToUpdate PercentageComplete Preferences RollbackDetails StartTime Status Strategy"; got != want {
		t.Errorf("rolled back:\n%s\n%s", got, want)
	}
}

// topLevel returns the sorted names of the elements of a fragment of XML, without those in them.
func topLevel(fragment string) string {
	var names []string
	depth := 0
	for _, tag := range regexp.MustCompile(`<(/?)([A-Za-z]+)(/?)>`).FindAllStringSubmatch(fragment, -1) {
		switch {
		case tag[1] == "/":
			depth--
		case tag[3] == "/":
			if depth == 0 {
				names = append(names, tag[2])
			}
		default:
			if depth == 0 {
				names = append(names, tag[2])
			}
			depth++
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Recorded: start and end are in whole seconds, the start of a rollback in milliseconds, and it stays on record with the reason.
func TestTimesOfARollback(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.clock.Advance(123 * time.Millisecond)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2")})
	w.at(30)
	w.clock.Advance(56789 * time.Microsecond)
	must(w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
	w.at(600)
	r := w.refresh()
	d := r.RollbackDetails
	if r.Status != astypes.InstanceRefreshStatusRollbackSuccessful || r.StartTime.Nanosecond() != 0 || r.EndTime.Nanosecond() != 0 ||
		d.RollbackStartTime.Nanosecond()%1e6 != 0 || d.RollbackStartTime.Nanosecond() == 0 || *d.RollbackReason != "Rollback triggered due to user request." {
		t.Errorf("%s from %v to %v, back from %v", r.Status, r.StartTime, r.EndTime, d.RollbackStartTime)
	}
	if l := r.DesiredConfiguration.LaunchTemplate; *l.LaunchTemplateId != "lt-0aaaaaaaaaaaaaaaa" || *l.LaunchTemplateName != "web" || *l.Version != "2" {
		t.Errorf("desired %+v", l)
	}
}

// Recorded: the causes of what a refresh does, which a rollback has, too.
func TestCausesOfARefreshAndOfItsRollback(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"),
		Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(100), BakeTime: aws.Int32(3600)},
	})
	w.at(300)
	must(w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
	w.at(600)
	launched, ended := "an instance was launched in response to an instance refresh.", "an instance was taken out of service in response to an instance refresh."
	want := []string{"Terminating " + ended, "Launching " + launched, "Terminating " + ended, "Launching " + launched}
	for i, a := range w.activities()[:4] {
		what, _, _ := strings.Cut(*a.Description, " ")
		at, cause, _ := strings.Cut(strings.TrimPrefix(*a.Cause, "At "), " ")
		if what+" "+cause != want[i] || at != a.StartTime.Format("2006-01-02T15:04:05Z") || *a.Progress != 100 || a.StatusMessage != nil {
			t.Errorf("%d: %s: %s", i, *a.Description, *a.Cause)
		}
	}
}

// Recorded: the warm-up of a refresh is the group's, or else its grace period, where a request does not say.
func TestWhereTheWarmupComesFrom(t *testing.T) {
	for _, test := range []struct {
		group, grace, given *int32
		want                int32
	}{
		{nil, nil, nil, 0},
		{nil, aws.Int32(77), nil, 77},
		{aws.Int32(33), aws.Int32(77), nil, 33},
		{aws.Int32(0), aws.Int32(77), nil, 0},
		{aws.Int32(33), aws.Int32(77), aws.Int32(5), 5},
		{aws.Int32(33), nil, aws.Int32(0), 0},
	} {
		w := newWorld(t)
		w.create("g", 0, func(in *as.CreateAutoScalingGroupInput) {
			in.DefaultInstanceWarmup, in.HealthCheckGracePeriod = test.group, test.grace
		})
		w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), Preferences: &astypes.RefreshPreferences{InstanceWarmup: test.given}})
		if got := *w.refresh().Preferences.InstanceWarmup; got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}

// Recorded: preferences come back as given, an explicit 100 % and zeros, too.
func TestPreferencesComeBackAsGiven(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("$Default"), Preferences: &astypes.RefreshPreferences{
		MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(100), CheckpointPercentages: []int32{100}, CheckpointDelay: aws.Int32(0),
		BakeTime: aws.Int32(0), InstanceWarmup: aws.Int32(0), ScaleInProtectedInstances: "Ignore", StandbyInstances: "Terminate",
		AlarmSpecification: &astypes.AlarmSpecification{Alarms: []string{"ü 5xx"}},
	}})
	r := w.refresh()
	p := r.Preferences
	if *p.MaxHealthyPercentage != 100 || *p.CheckpointDelay != 0 || *p.BakeTime != 0 || *p.InstanceWarmup != 0 || p.CheckpointPercentages[0] != 100 ||
		p.ScaleInProtectedInstances != "Ignore" || p.StandbyInstances != "Terminate" || p.AlarmSpecification.Alarms[0] != "ü 5xx" || *p.SkipMatching || *p.AutoRollback {
		t.Errorf("%+v", p)
	}
	if r.Strategy != astypes.RefreshStrategyRolling || *r.DesiredConfiguration.LaunchTemplate.Version != "$Default" {
		t.Errorf("%s, %s", r.Strategy, *r.DesiredConfiguration.LaunchTemplate.Version)
	}
}

// What the model of the API says of preferences, as the service words it. A client that checks nothing itself gets it as an error.
func TestPreferencesOutOfBounds(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	const found = "1 validation error detected: Value '"
	for message, p := range map[string]astypes.RefreshPreferences{
		found + "101' at 'preferences.minHealthyPercentage' failed to satisfy constraint: Member must have value less than or equal to 100":           {MinHealthyPercentage: aws.Int32(101)},
		found + "-1' at 'preferences.minHealthyPercentage' failed to satisfy constraint: Member must have value greater than or equal to 0":           {MinHealthyPercentage: aws.Int32(-1)},
		found + "99' at 'preferences.maxHealthyPercentage' failed to satisfy constraint: Member must have value greater than or equal to 100":         {MinHealthyPercentage: aws.Int32(50), MaxHealthyPercentage: aws.Int32(99)},
		found + "201' at 'preferences.maxHealthyPercentage' failed to satisfy constraint: Member must have value less than or equal to 200":           {MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(201)},
		found + "172801' at 'preferences.bakeTime' failed to satisfy constraint: Member must have value less than or equal to 172800":                 {BakeTime: aws.Int32(172801)},
		found + "172801' at 'preferences.checkpointDelay' failed to satisfy constraint: Member must have value less than or equal to 172800":          {CheckpointDelay: aws.Int32(172801), CheckpointPercentages: []int32{100}},
		found + "0' at 'preferences.checkpointPercentages.1.member' failed to satisfy constraint: Member must have value greater than or equal to 1":  {CheckpointPercentages: []int32{0, 100}},
		found + "101' at 'preferences.checkpointPercentages.2.member' failed to satisfy constraint: Member must have value less than or equal to 100": {CheckpointPercentages: []int32{50, 101}},
		found + "-1' at 'preferences.instanceWarmup' failed to satisfy constraint: Member must have value greater than or equal to 0":                 {InstanceWarmup: aws.Int32(-1)},
	} {
		_, err := w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), Preferences: &p})
		w.refused(err, "ValidationError", message)
	}
	for field, p := range map[string]astypes.RefreshPreferences{
		"scaleInProtectedInstances": {ScaleInProtectedInstances: "Never"}, "standbyInstances": {StandbyInstances: "Never"},
	} {
		_, err := w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), Preferences: &p})
		if err == nil || !strings.Contains(err.Error(), "Value 'Never' at 'preferences."+field+"' failed to satisfy constraint: Member must satisfy enum value set: [") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Recorded: errors are of type Sender, with status 400, in the envelope of the Query protocol.
func TestTheShapeOfErrors(t *testing.T) {
	w := newWorld(t)
	status, body := w.raw(func(c *as.Client) {
		_, _ = c.CancelInstanceRefresh(t.Context(), &as.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("<g&>")})
	})
	want := `(?s)^<\?xml version="1.0" encoding="UTF-8"\?>\n<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type>` +
		`<Code>ValidationError</Code><Message>AutoScalingGroup name not found - AutoScalingGroup &lt;g&amp;&gt; not found</Message></Error><RequestId>[0-9a-f-]{36}</RequestId></ErrorResponse>$`
	if status != 400 || !regexp.MustCompile(want).MatchString(body) {
		t.Errorf("%d %s", status, body)
	}
	w.create("g", 0)
	status, body = w.raw(func(c *as.Client) {
		must(c.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(0)}))
	})
	want = `(?s)^<\?xml version="1.0" encoding="UTF-8"\?>\n<SetDesiredCapacityResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">` +
		`<ResponseMetadata><RequestId>[0-9a-f-]{36}</RequestId></ResponseMetadata></SetDesiredCapacityResponse>$`
	if status != 200 || !regexp.MustCompile(want).MatchString(body) {
		t.Errorf("%d %s", status, body)
	}
}

// Recorded: what an unknown token is answered with, by both operations that take one.
func TestUnknownTokensOfActions(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	w.hook("autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON")
	token := "12345678-1234-1234-1234-123456789012"
	_, err := w.client.RecordLifecycleActionHeartbeat(t.Context(), &as.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h"), LifecycleActionToken: &token})
	w.refused(err, "ValidationError", "No active Lifecycle Action found with token "+token)
	_, err = w.client.CompleteLifecycleAction(t.Context(), &as.CompleteLifecycleActionInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h"), InstanceId: aws.String("i-0123456789abcdef0"), LifecycleActionResult: aws.String("CONTINUE")})
	w.refused(err, "ValidationError", "No active Lifecycle Action found with instance ID i-0123456789abcdef0")
}

// Recorded: an update that leaves something out leaves it as it is, and an instance keeps the version of its launch.
func TestAnInstanceKeepsTheVersionOfItsLaunch(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) { in.LaunchTemplate.Version = aws.String("$Default") })
	must(w.client.UpdateAutoScalingGroup(t.Context(), &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), LaunchTemplate: version("$Latest").LaunchTemplate}))
	w.desire(2)
	w.at(60)
	w.expectInstances("1 InService v1, 2 InService v2")
	g := w.group("g")
	must(w.client.UpdateAutoScalingGroup(t.Context(), &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), DefaultCooldown: aws.Int32(7)}))
	again := w.group("g")
	if *again.LaunchTemplate.Version != "$Latest" || *again.DefaultCooldown != 7 || *again.DesiredCapacity != 2 || *again.VPCZoneIdentifier != *g.VPCZoneIdentifier || *again.MaxSize != *g.MaxSize {
		t.Errorf("%+v", again)
	}
}
