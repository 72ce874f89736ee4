package target

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake"
)

// Group asks for an Auto Scaling group, as it is after Group was called. Who asks while another call is on its way shares the next one with all
// who do: hundreds of fleets in one account are watched in a few calls. The error wraps [bake.ErrNotFound] where there is none of the name.
func (t *Target) Group(ctx context.Context, name string) (types.AutoScalingGroup, error) {
	b := t.groups.join(ctx, name)
	select {
	case <-b.done:
	case <-ctx.Done():
		t.groups.leave(b)
		return types.AutoScalingGroup{}, context.Cause(ctx)
	}
	if b.err != nil {
		return types.AutoScalingGroup{}, b.err
	}
	g, ok := b.found[name]
	if !ok {
		return g, fmt.Errorf("group %s: %w", name, bake.ErrNotFound)
	}
	return g, nil
}

// groups puts questions about groups together.
type groups struct {
	call func(context.Context, *autoscaling.DescribeAutoScalingGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error)

	mu   sync.Mutex
	busy bool
	next *batch // waits for the call that is on its way
}

// batch is a question about some groups, and its answer.
type batch struct {
	names   []string
	waiting int
	ctx     context.Context //nolint:containedctx // ends when nobody waits for the answer any more
	cancel  context.CancelFunc
	done    chan struct{}
	found   map[string]types.AutoScalingGroup
	err     error
}

// join adds a name to the next question, and sees to it that it is asked.
func (g *groups) join(ctx context.Context, name string) *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.next = &batch{done: make(chan struct{}), found: map[string]types.AutoScalingGroup{}}
		g.next.ctx, g.next.cancel = context.WithCancel(context.WithoutCancel(ctx))
	}
	b := g.next
	b.waiting++
	if !slices.Contains(b.names, name) {
		b.names = append(b.names, name)
	}
	if !g.busy {
		g.busy = true
		go g.ask()
	}
	return b
}

// leave gives a question up when nobody else waits for its answer.
func (g *groups) leave(b *batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b.waiting--; b.waiting > 0 {
		return
	}
	b.cancel()
	if g.next == b {
		g.next = nil
	}
}

// ask asks one question after the other, until nobody has one.
func (g *groups) ask() {
	for {
		g.mu.Lock()
		b := g.next
		g.next, g.busy = nil, b != nil
		g.mu.Unlock()
		if b == nil {
			return
		}
		b.err = g.describe(b)
		b.cancel()
		close(b.done)
	}
}

// maxGroups is how many groups a call may name.
const maxGroups = 100

func (g *groups) describe(b *batch) error {
	for names := range slices.Chunk(b.names, maxGroups) {
		in := autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names, MaxRecords: aws.Int32(maxGroups)}
		more := func(in *autoscaling.DescribeAutoScalingGroupsInput, out *autoscaling.DescribeAutoScalingGroupsOutput) *string {
			in.NextToken = out.NextToken
			return in.NextToken
		}
		for page, err := range Pages(b.ctx, g.call, in, more) {
			if err != nil {
				return err
			}
			for _, found := range page.AutoScalingGroups {
				b.found[aws.ToString(found.AutoScalingGroupName)] = found
			}
		}
	}
	return nil
}
