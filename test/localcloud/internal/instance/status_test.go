package instance_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	status := func(in ec2.DescribeInstanceStatusInput) []ec2types.InstanceStatus {
		t.Helper()
		out, err := c.Client.DescribeInstanceStatus(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		return out.InstanceStatuses
	}
	if s := status(ec2.DescribeInstanceStatusInput{})[0]; s.InstanceStatus.Status != "initializing" || s.SystemStatus.Details[0].Status != "initializing" {
		t.Errorf("got %+v", s)
	}
	c.Clock.Advance(2 * time.Minute)
	if s := status(ec2.DescribeInstanceStatusInput{})[0]; s.InstanceStatus.Status != "ok" || s.InstanceStatus.Details[0].Status != "passed" || s.AttachedEbsStatus.Status != "ok" {
		t.Errorf("got %+v", s)
	}
	c.service.Status(ec2test.Region, id, false)
	s := status(ec2.DescribeInstanceStatusInput{Filters: []ec2types.Filter{{Name: aws.String("instance-status.status"), Values: []string{"impaired"}}}})[0]
	if s.InstanceStatus.Details[0].ImpairedSince == nil || s.SystemStatus.Status != "ok" {
		t.Errorf("got %+v", s)
	}
	if _, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if got := status(ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}); len(got) != 0 {
		t.Errorf("shows one that does not run: %+v", got)
	}
	if s := status(ec2.DescribeInstanceStatusInput{IncludeAllInstances: aws.Bool(true)}); len(s) != 1 || s[0].InstanceStatus.Status != "not-applicable" || s[0].InstanceStatus.Details != nil {
		t.Errorf("got %+v", s)
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	out, err := c.Client.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &id})
	if err != nil || *out.Output != base64.StdEncoding.EncodeToString([]byte("console of "+id)) || !out.Timestamp.Equal(c.Clock.Now().Truncate(time.Millisecond)) {
		t.Errorf("got %+v %v", out, err)
	}
	_, err = c.Client.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: aws.String("oops")})
	ec2test.Expect(t, err, "InvalidInstanceID.Malformed", `Invalid id: "oops"`)
}

func TestMonitoring(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, func(in *ec2.RunInstancesInput) {
		in.Monitoring = &ec2types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(true)}
	})
	if got := c.get(t, id).Monitoring.State; got != "enabled" {
		t.Errorf("got %s", got)
	}
	out, err := c.Client.UnmonitorInstances(t.Context(), &ec2.UnmonitorInstancesInput{InstanceIds: []string{id}})
	if err != nil || out.InstanceMonitorings[0].Monitoring.State != "disabling" || c.get(t, id).Monitoring.State != "disabled" {
		t.Errorf("got %+v %v", out, err)
	}
	credits, err := c.Client.DescribeInstanceCreditSpecifications(t.Context(), &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: []string{id}})
	if err != nil || *credits.InstanceCreditSpecifications[0].CpuCredits != "unlimited" {
		t.Errorf("got %+v %v", credits, err)
	}
}
