package localcloud

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func (e *engine) leaked() []admin.Resource {
	var all []admin.Resource
	for _, name := range e.buckets.Buckets() {
		all = append(all, admin.Resource{Type: "bucket", ID: name})
	}
	for _, region := range e.store.Regions() {
		_ = e.store.View(region, func(r *state.Region) error {
			l := leaks{region: region}
			l.addCompute(r)
			l.addNetwork(r)
			l.addNamed(r)
			all = append(all, l.all...)
			return nil
		})
	}
	slices.SortFunc(all, func(a, b admin.Resource) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// leaks collects the resources of a region.
type leaks struct {
	region string
	all    []admin.Resource
}

func (l *leaks) add(kind, account, id string) {
	l.all = append(l.all, admin.Resource{Region: l.region, Account: account, Type: kind, ID: id})
}

// addCompute adds what instances are made of and run on.
func (l *leaks) addCompute(r *state.Region) {
	for id, in := range r.Instances.All() {
		if in.State == nil || in.State.Name != ec2types.InstanceStateNameTerminated {
			l.add("instance", in.Account, id)
		}
	}
	for id, v := range r.Volumes.All() {
		l.add("volume", v.Account, id)
	}
	for id, img := range r.Images.All() {
		if !img.Deregistered {
			l.add("image", aws.ToString(img.OwnerId), id)
		}
	}
	for id, s := range r.Snapshots.All() {
		if !s.Deleted {
			l.add("snapshot", aws.ToString(s.OwnerId), id)
		}
	}
	for id, t := range r.LaunchTemplates.All() {
		l.add("launch-template", t.Account, id)
	}
}

// addNetwork leaves out the defaults that every account has.
func (l *leaks) addNetwork(r *state.Region) {
	for id, g := range r.SecurityGroups.All() {
		if aws.ToString(g.GroupName) != "default" {
			l.add("security-group", aws.ToString(g.OwnerId), id)
		}
	}
	for id, v := range r.VPCs.All() {
		if !aws.ToBool(v.IsDefault) {
			l.add("vpc", aws.ToString(v.OwnerId), id)
		}
	}
	for id, s := range r.Subnets.All() {
		if !aws.ToBool(s.DefaultForAz) {
			l.add("subnet", aws.ToString(s.OwnerId), id)
		}
	}
	for arn, g := range r.TargetGroups.All() {
		l.add("target-group", g.Account, arn)
		for target, t := range g.Targets {
			if t.DrainUntil.IsZero() {
				l.add("target", g.Account, arn+" "+target)
			}
		}
	}
	for arn, b := range r.LoadBalancers.All() {
		l.add("load-balancer", b.Account, arn)
	}
}

// addNamed adds what its account has named.
func (l *leaks) addNamed(r *state.Region) {
	named := func(kind, key string) {
		account, name, _ := strings.Cut(key, "/")
		l.add(kind, account, name)
	}
	for key := range r.KeyPairs.All() {
		named("key-pair", key)
	}
	for key := range r.Groups.All() {
		named("auto-scaling-group", key)
	}
	for key := range r.Parameters.All() {
		named("parameter", key)
	}
	for key := range r.Alarms.All() {
		named("alarm", key)
	}
}
