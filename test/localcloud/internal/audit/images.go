package audit

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// images: what is registered can be launched, under a name of its own; a snapshot that is complete has its disk.
func (c *checker) images() {
	names := map[string]string{}
	for id, i := range c.Images.All() {
		if i.Deregistered {
			continue
		}
		name := state.Key(aws.ToString(i.OwnerId), aws.ToString(i.Name))
		if other := names[name]; other != "" {
			c.say("images %s and %s both have the name %s", min(id, other), max(id, other), name)
		}
		names[name] = id
		for _, m := range i.BlockDeviceMappings {
			if m.Ebs == nil || m.Ebs.SnapshotId == nil {
				continue
			}
			if s := c.Snapshots.Get(*m.Ebs.SnapshotId); s == nil || s.Deleted {
				c.say("image %s has the snapshot %s, which does not exist", id, *m.Ebs.SnapshotId)
			}
		}
	}
	for id, s := range c.Snapshots.All() {
		if s.State == ec2types.SnapshotStateCompleted && !s.Deleted && s.Disk == "" {
			c.say("snapshot %s is complete without a disk", id)
		}
	}
}

// templates: the default version exists, numbers were never given twice, and names are taken once.
func (c *checker) templates() {
	names := map[string]string{}
	for id, t := range c.LaunchTemplates.All() {
		name := state.Key(t.Account, aws.ToString(t.LaunchTemplateName))
		if other := names[name]; other != "" {
			c.say("launch templates %s and %s both have the name %s", min(id, other), max(id, other), name)
		}
		names[name] = id
		var numbers []int64
		for i := range t.Versions {
			numbers = append(numbers, aws.ToInt64(t.Versions[i].VersionNumber))
		}
		if !ascending(numbers) || len(numbers) == 0 || numbers[len(numbers)-1] > t.Counter {
			c.say("launch template %s has the versions %v of %d", id, numbers, t.Counter)
		}
		if !slices.Contains(numbers, aws.ToInt64(t.DefaultVersionNumber)) {
			c.say("launch template %s has the default version %d, which does not exist", id, aws.ToInt64(t.DefaultVersionNumber))
		}
	}
}

// named: what is kept under a name is what that name says, and versions and tokens are in order.
func (c *checker) named() {
	for key, p := range c.Parameters.All() {
		var numbers []int64
		labels := map[string]bool{}
		for _, v := range p.Versions {
			numbers = append(numbers, v.Version)
			for _, l := range v.Labels {
				if labels[l] {
					c.say("parameter %s has the label %s twice", key, l)
				}
				labels[l] = true
			}
		}
		if key != state.Key(p.Account, p.Name) || len(numbers) == 0 || !ascending(numbers) || numbers[len(numbers)-1] > p.Counter {
			c.say("parameter %s is %s of %s with the versions %v of %d", key, p.Name, p.Account, numbers, p.Counter)
		}
	}
	for key, t := range c.Tokens.All() {
		if strings.Count(key, "/") < 2 || t.Request == "" || t.Made.After(c.Now()) {
			c.say("token %s stands for the request %q, made at %v", key, t.Request, t.Made)
		}
	}
}

// ascending reports whether no number is there twice and all are in order.
func ascending(numbers []int64) bool {
	for i := 1; i < len(numbers); i++ {
		if numbers[i] <= numbers[i-1] {
			return false
		}
	}
	return true
}
