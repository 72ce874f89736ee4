package localcloud

import (
	"fmt"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// console returns what the serial console of an instance, of whatever region, has shown.
func (c *Cloud) console(id string) (admin.Console, error) {
	e := c.engine.Load()
	if e == nil {
		return admin.Console{}, errClosed
	}
	for _, region := range e.store.Regions() {
		var in *state.Instance
		running := false
		_ = e.store.View(region, func(r *state.Region) error {
			in = r.Instances.Get(id)
			running = in != nil && isUp(in.State)
			return nil
		})
		if in != nil {
			return admin.Console{Text: e.driver.Console(id), Running: running}, nil
		}
	}
	return admin.Console{}, fmt.Errorf("instance %s: %w", id, errNotFound)
}

// isUp reports whether the console of an instance may show more.
func isUp(s *ec2types.InstanceState) bool {
	if s == nil {
		return false
	}
	switch s.Name {
	case ec2types.InstanceStateNameStopped, ec2types.InstanceStateNameTerminated:
		return false
	case ec2types.InstanceStateNamePending, ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameStopping:
	}
	return true
}
