package instance_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// BenchmarkReplace launches an instance of a template and ends another, among 20,000, as an instance refresh does.
func BenchmarkReplace(b *testing.B) {
	c := newCloud(b)
	image := c.Image(b, nil)
	lt, err := c.Client.CreateLaunchTemplate(b.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &image, InstanceType: "t3.nano", MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	in := &ec2.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), TagSpecifications: instanceTags("aws:autoscaling:groupName", "web"),
		LaunchTemplate: &ec2types.LaunchTemplateSpecification{LaunchTemplateId: lt.LaunchTemplate.LaunchTemplateId, Version: aws.String("1")},
	}
	var ids []string
	launch := func(r *state.Region) {
		made, err := c.service.Launch(r, ec2test.Account, "x", in)
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, *made[0].InstanceId)
	}
	c.Update(b, func(r *state.Region) {
		for range 20000 {
			launch(r)
		}
	})
	c.Clock.Advance(time.Minute)
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	b.ReportAllocs()
	for b.Loop() {
		c.Update(b, func(r *state.Region) {
			launch(r)
			c.service.Terminate(r, ids[:1])
		})
		ids = ids[1:]
		if len(ids)%1000 == 0 {
			c.driver.Calls()
		}
		c.Clock.Advance(time.Second)
	}
	b.ReportMetric(float64(memory.HeapAlloc)/20000, "heap-B/instance")
}

// BenchmarkDescribeByTag describes the instances of one group among 20,000.
func BenchmarkDescribeByTag(b *testing.B) {
	c := newCloud(b)
	in := &ec2.RunInstancesInput{ImageId: aws.String(c.Image(b, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(20), MaxCount: aws.Int32(20)}
	c.Update(b, func(r *state.Region) {
		for i := range 1000 {
			in.TagSpecifications = instanceTags("aws:autoscaling:groupName", time.Duration(i).String())
			if _, err := c.service.Launch(r, ec2test.Account, "x", in); err != nil {
				b.Fatal(err)
			}
		}
	})
	for b.Loop() {
		out, err := c.Client.DescribeInstances(b.Context(), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("tag:aws:autoscaling:groupName"), Values: []string{"77ns"}}}})
		if err != nil || len(out.Reservations[0].Instances) != 20 {
			b.Fatal(err, len(out.Reservations))
		}
	}
}
