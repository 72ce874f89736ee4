package wire_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// groups answers with one group of 20 instances.
func groups() *wire.Service {
	s := wire.NewService("autoscaling")
	now := time.Now()
	group := astypes.AutoScalingGroup{AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(1), MaxSize: aws.Int32(40), DesiredCapacity: aws.Int32(20), CreatedTime: &now}
	for i := range 20 {
		group.Instances = append(group.Instances, astypes.Instance{
			InstanceId: aws.String("i-0123456789abcde" + strconv.Itoa(10+i)), AvailabilityZone: aws.String("eu-west-1a"), LifecycleState: "InService",
			HealthStatus: aws.String("Healthy"), ProtectedFromScaleIn: aws.Bool(false), InstanceType: aws.String("t3.nano"),
			LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-0"), LaunchTemplateName: aws.String("web"), Version: aws.String("1")},
		})
	}
	wire.Handle(s, func(context.Context, *wire.Call, *autoscaling.DescribeAutoScalingGroupsInput) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
		return &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []astypes.AutoScalingGroup{group}}, nil
	})
	return s
}

func BenchmarkDescribeGroup(b *testing.B) {
	g := newGateway(groups())
	header := signedFor("autoscaling")
	for b.Loop() {
		q := raw{body: "Action=DescribeAutoScalingGroups&Version=2011-01-01&AutoScalingGroupNames.member.1=web", header: header}.request()
		answer(b, g, q)
	}
}

func BenchmarkDescribeGroupBySDK(b *testing.B) {
	client := autoscaling.NewFromConfig(config(newGateway(groups())))
	for b.Loop() {
		if _, err := client.DescribeAutoScalingGroups(b.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"web"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunInstances(b *testing.B) {
	s := wire.NewService("ec2")
	wire.Handle(s, func(context.Context, *wire.Call, *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
		return &ec2.RunInstancesOutput{}, nil
	})
	g := newGateway(s)
	header := signedFor("ec2")
	for b.Loop() {
		q := raw{body: "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&ImageId=ami-0123456789abcdef0&TagSpecification.1.ResourceType=instance" +
			"&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b&LaunchTemplate.LaunchTemplateName=web&LaunchTemplate.Version=1&ClientToken=x", header: header}.request()
		answer(b, g, q)
	}
}

func answer(b *testing.B, g *wire.Gateway, q *http.Request) {
	b.Helper()
	got, err := g.RoundTrip(q)
	if err != nil || got.StatusCode/100 != 2 {
		b.Fatal(got, err)
	}
	_, _ = io.Copy(io.Discard, got.Body)
	_ = got.Body.Close()
}

// Blocks over a socket of the loopback by 64 workers.
func BenchmarkPutBlock(b *testing.B) {
	s := wire.NewService("ebs")
	wire.Handle(s, func(_ context.Context, _ *wire.Call, in *ebs.PutSnapshotBlockInput) (*ebs.PutSnapshotBlockOutput, error) {
		if block, err := wire.Bytes(in.BlockData); err != nil || len(block) != 524288 {
			return nil, wire.Errorf("ValidationException", "%d bytes", len(block))
		}
		return &ebs.PutSnapshotBlockOutput{}, nil
	})
	server := httptest.NewServer(newGateway(s))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	block := bytes.Repeat([]byte("x"), 524288)
	b.SetBytes(int64(len(block)))
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := putBlock(b.Context(), client, server.URL, block); err != nil {
				b.Error(err)
			}
		}
	})
}

func putBlock(ctx context.Context, client *http.Client, url string, block []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url+"/snapshots/snap-0123456789abcdef0/blocks/1", bytes.NewReader(block))
	if err != nil {
		return err
	}
	for name, value := range with(signedFor("ebs"), "x-amz-Data-Length", "524288", "x-amz-Checksum-Algorithm", "SHA256", "x-amz-Checksum", strings.Repeat("a", 44)) {
		r.Header.Set(name, value)
	}
	got, err := client.Do(r)
	if err != nil {
		return err
	}
	if got.StatusCode != http.StatusCreated {
		return wire.Errorf(got.Status, "")
	}
	return got.Body.Close()
}

// What a process pays until its first answer.
func BenchmarkFirstAnswer(b *testing.B) {
	header := signedFor("ec2")
	for b.Loop() {
		s := wire.NewService("ec2")
		wire.Handle(s, func(context.Context, *wire.Call, *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
			return &ec2.DescribeInstancesOutput{}, nil
		})
		answer(b, newGateway(s), raw{body: "Action=DescribeInstances", header: header}.request())
	}
}
