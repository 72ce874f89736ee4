// Package alias lets SSM parameters follow channels: whoever resolves one gets the AMI that the channel holds. The catalog is the truth; a
// parameter that somebody else changed is set again by the next promotion.
package alias

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// Config is what parameters are set with.
type Config struct {
	Target func(ctx context.Context, name string) (*target.Target, error)
	Clock  promote.Clock
}

// Parameters are the aliases of channels. They implement [promote.Alias], and are safe for concurrent use.
type Parameters struct{ c Config }

// New returns the parameters.
func New(c Config) Parameters { return Parameters{c} }

const (
	// many targets are set side by side: a promotion waits for the last one.
	parallel = 16
	// Systems Manager answers before it has looked whether the AMI is there; usually it takes seconds.
	patience = 5 * time.Minute
	poll     = 2 * time.Second
)

// Set makes the parameter name the AMI in every target, and returns when reading it shows that. What shows it already stays as it is. The
// error wraps [bake.ErrRefused] where Systems Manager does not take the AMI for one that the account may use. A target that fails keeps none of the
// others from being set: the error tells of all that do.
func (p Parameters) Set(ctx context.Context, parameter string, artifacts map[string]bake.Artifact) error {
	places := slices.Sorted(maps.Keys(artifacts))
	failures := make([]error, len(places))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, place := range places {
		group.Go(func() error {
			failures[i] = p.setIn(ctx, place, parameter, artifacts[place].AMI)
			return nil
		})
	}
	_ = group.Wait() // each has its own
	return errors.Join(failures...)
}

func (p Parameters) setIn(ctx context.Context, place, parameter, ami string) error {
	t, err := p.c.Target(ctx, place)
	if err != nil {
		return err // names the target
	}
	if err := p.set(ctx, t, parameter, ami); err != nil {
		return fmt.Errorf("parameter %s in %s of account %s: %w", parameter, t.Region, t.Account, target.Terse(err))
	}
	return nil
}

func (p Parameters) set(ctx context.Context, t *target.Target, parameter, ami string) error {
	if shown, err := read(ctx, target.SSM(t), parameter); err != nil || shown == ami {
		return err
	}
	_, err := target.SSM(t).PutParameter(ctx, &ssm.PutParameterInput{
		Name: &parameter, Value: &ami, Type: types.ParameterTypeString, DataType: aws.String("aws:ec2:image"), Overwrite: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	return p.await(ctx, target.SSM(t), parameter, ami)
}

// await reads the parameter until it shows the AMI.
func (p Parameters) await(ctx context.Context, client *ssm.Client, parameter, ami string) error {
	for begin := p.c.Clock.Now(); p.c.Clock.Now().Sub(begin) < patience; {
		shown, err := read(ctx, client, parameter)
		if err != nil || shown == ami {
			return err
		}
		if err := p.c.Clock.Sleep(ctx, poll); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: Systems Manager does not take %s for an image that this account may use: it still shows the value before", bake.ErrRefused, ami)
}

// read returns the value of a parameter, or nothing where there is none.
func read(ctx context.Context, client *ssm.Client, parameter string) (string, error) {
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &parameter})
	if absent := (*types.ParameterNotFound)(nil); errors.As(err, &absent) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Parameter.Value), nil
}
