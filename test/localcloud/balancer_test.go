package localcloud_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud"
)

// In a cloud of real machines a load balancer answers at its DNS name, if only to say that it has no target.
func TestBalancersAnswer(t *testing.T) {
	cloud, err := localcloud.New(localcloud.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	const port = 38080
	name := newBalancer(t, config(cloud), port)
	url := fmt.Sprintf("http://%s:%d/", name, port)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		ok(t, err)
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s, want 503", answer.Status)
			}
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("nobody answers at %s: %v", url, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// newBalancer returns the DNS name of a new balancer with a listener of HTTP and no targets.
func newBalancer(t *testing.T, own aws.Config, port int32) string {
	t.Helper()
	subnets, err := ec2.NewFromConfig(own).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	ok(t, err)
	balancers := elb.NewFromConfig(own)
	made, err := balancers.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{
		Name: aws.String("web"), Subnets: []string{*subnets.Subnets[0].SubnetId, *subnets.Subnets[1].SubnetId},
	})
	ok(t, err)
	group, err := balancers.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: aws.String("web"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: subnets.Subnets[0].VpcId,
	})
	ok(t, err)
	_, err = balancers.CreateListener(t.Context(), &elb.CreateListenerInput{
		LoadBalancerArn: made.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(port),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group.TargetGroups[0].TargetGroupArn}},
	})
	ok(t, err)
	return *made.LoadBalancers[0].DNSName
}
