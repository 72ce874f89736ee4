package ec2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
)

// Tags of what iibake makes.
const (
	tagName    = "Name"
	tagImage   = "iibake:image"
	tagVersion = "iibake:version"
	tagDisk    = "iibake:disk"
	tagCommit  = "iibake:commit"
	tagRun     = "iibake:run"
	tagSource  = "iibake:source" // of a copy: the AMI that it was made from
)

// job is one image on its way to its targets.
type job struct {
	*Publisher
	img      bake.Image
	template bake.Template
	known    []bake.Artifact // of the image, when the job began
}

// name is that of the AMI, in every region.
func (j job) name() string { return j.img.Name + "-" + j.img.Version }

func (j job) tags(run string) map[string]string {
	return map[string]string{
		tagName: j.name(), tagImage: j.img.Name, tagVersion: j.img.Version, tagDisk: string(j.img.Disk),
		tagCommit: cmp.Or(j.img.Commit, "none"), tagRun: run,
	}
}

// ec2Tags returns the tags for a type of resource, as EC2 wants them.
func (j job) ec2Tags(run string, kinds ...ec2types.ResourceType) []ec2types.TagSpecification {
	var tags []ec2types.Tag
	for key, value := range sorted(j.tags(run)) {
		tags = append(tags, ec2types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	var all []ec2types.TagSpecification
	for _, kind := range kinds {
		all = append(all, ec2types.TagSpecification{ResourceType: kind, Tags: tags})
	}
	return all
}

// ebsTags returns the tags of a snapshot, as EBS direct wants them.
func (j job) ebsTags(run string) []ebstypes.Tag {
	var tags []ebstypes.Tag
	for key, value := range sorted(j.tags(run)) {
		tags = append(tags, ebstypes.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return tags
}

// start reports the beginning of a task.
func (j job) start(format string, args ...any) *bake.Task {
	return bake.StartTask(j.c.Report, j.img.Name, fmt.Sprintf(format, args...), nil)
}

// place names a region of an account for people.
func place(t *target.Target) string { return t.Region + " of account " + t.Account }

// inPlace says where something went wrong that was asked of AWS.
func inPlace(t *target.Target, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("in %s: %w", place(t), err)
}

// together calls f for every item at the same time, lets all of them end, and joins their errors.
func together[T any](items []T, f func(int, T) error) error {
	errs := make([]error, len(items))
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() { errs[i] = f(i, item) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// open returns the targets, each proven to be reachable.
func (p *Publisher) open(ctx context.Context, names []string) ([]*target.Target, error) {
	opened := make([]*target.Target, len(names))
	return opened, together(names, func(i int, name string) (err error) {
		opened[i], err = p.c.Targets.Get(ctx, name)
		return err
	})
}
