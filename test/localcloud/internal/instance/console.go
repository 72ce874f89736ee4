package instance

import (
	"context"
	"encoding/base64"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func page(c *wire.Call, most *int32, token *string) kit.Page {
	return kit.Page{Max: most, Token: token, Min: 5, Limit: 1000, Scope: scope(c)}
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// console returns what the serial console has shown: what the driver has at this moment, whether or not Latest is asked for.
func (s *Service) console(_ context.Context, c *wire.Call, in *ec2.GetConsoleOutputInput) (*ec2.GetConsoleOutputOutput, error) {
	err := s.store.View(c.Region, func(r *state.Region) error {
		_, err := one(r, c.Account, in.InstanceId)
		if err == nil && aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ec2.GetConsoleOutputOutput{InstanceId: in.InstanceId, Timestamp: aws.Time(c.Time)}
	if s.driver != nil {
		if text := s.driver.Console(*in.InstanceId); len(text) > 0 { // not under the region's lock: the driver may read a file
			out.Output = aws.String(encode(text))
		}
	}
	return out, nil
}

func (s *Service) monitor(_ context.Context, c *wire.Call, in *ec2.MonitorInstancesInput) (*ec2.MonitorInstancesOutput, error) {
	all, err := s.setMonitoring(c, in.InstanceIds, in.DryRun, ec2types.MonitoringStatePending, ec2types.MonitoringStateEnabled)
	return &ec2.MonitorInstancesOutput{InstanceMonitorings: all}, err
}

func (s *Service) unmonitor(_ context.Context, c *wire.Call, in *ec2.UnmonitorInstancesInput) (*ec2.UnmonitorInstancesOutput, error) {
	all, err := s.setMonitoring(c, in.InstanceIds, in.DryRun, ec2types.MonitoringStateDisabling, ec2types.MonitoringStateDisabled)
	return &ec2.UnmonitorInstancesOutput{InstanceMonitorings: all}, err
}

// setMonitoring sets detailed monitoring; answer is the state on the way that the call returns.
func (s *Service) setMonitoring(c *wire.Call, ids []string, dryRun *bool, answer, final ec2types.MonitoringState) ([]ec2types.InstanceMonitoring, error) {
	all := []ec2types.InstanceMonitoring{}
	_, err := s.each(c, ids, dryRun, func(*state.Instance) error { return nil }, func(_ *state.Region, in *state.Instance) {
		in.Monitoring = &ec2types.Monitoring{State: final}
		all = append(all, ec2types.InstanceMonitoring{InstanceId: in.InstanceId, Monitoring: &ec2types.Monitoring{State: answer}})
	})
	return all, err
}
