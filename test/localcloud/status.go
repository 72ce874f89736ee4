package localcloud

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Status returns how the cloud is.
func (c *Cloud) Status() (admin.Status, error) {
	e := c.engine.Load()
	if e == nil {
		return admin.Status{}, errClosed
	}
	s := admin.Status{
		Simulated: c.config.Simulate, Speed: speedName(c.config), Started: c.started, Time: e.store.Clock().Now(),
		Folder: c.config.Dir, Store: c.config.Blocks, Accounts: []string{}, Regions: []admin.Region{}, Instances: []admin.Instance{},
	}
	for _, name := range slices.Sorted(slices.Values(e.store.Regions())) {
		_ = e.store.View(name, func(r *state.Region) error {
			addRegion(&s, r)
			return nil
		})
	}
	slices.Sort(s.Accounts)
	s.Accounts = slices.Compact(s.Accounts)
	slices.SortFunc(s.Instances, func(a, b admin.Instance) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID))
	})
	return s, nil
}

// addRegion adds a region in which there is something.
func addRegion(s *admin.Status, r *state.Region) {
	counts := r.Counts()
	if len(counts) == 0 {
		return
	}
	s.Regions = append(s.Regions, admin.Region{Name: r.Name, Counts: counts})
	for _, vpc := range r.VPCs.All() {
		s.Accounts = append(s.Accounts, aws.ToString(vpc.OwnerId)) // every account that has used EC2 has one
	}
	for _, in := range r.Instances.All() {
		s.Instances = append(s.Instances, describe(r.Name, in))
	}
}

func describe(region string, in *state.Instance) admin.Instance {
	d := admin.Instance{
		ID: aws.ToString(in.InstanceId), Region: region, Account: in.Account, Name: tag(in.Tags, "Name"), Status: string(in.Status),
		Type: string(in.InstanceType), Image: aws.ToString(in.ImageId), Address: cmp.Or(aws.ToString(in.PublicIpAddress), aws.ToString(in.PrivateIpAddress)),
		Group: in.Group, Launched: aws.ToTime(in.LaunchTime),
	}
	if in.State != nil {
		d.State = string(in.State.Name)
	}
	return d
}

func tag(tags []ec2types.Tag, key string) string {
	for _, t := range tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}
