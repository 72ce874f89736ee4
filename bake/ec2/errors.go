package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/sdkerr"
)

// notThere reports whether an error says that something does not exist, which is also said of what was made a moment ago.
func notThere(err error) bool {
	return slices.Contains([]string{
		"ResourceNotFoundException", "InvalidSnapshot.NotFound", "InvalidSnapshotID.NotFound", "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable",
	}, sdkerr.Code(err))
}

// says reports whether a refusal of EBS direct has a text: its reasons alone do not tell enough.
func says(err error, text string) bool {
	invalid, ok := errors.AsType[*ebstypes.ValidationException](err)
	return ok && strings.Contains(invalid.ErrorMessage(), text)
}

// explain says what to do about a quota. Everything else was explained by the client.
func explain(err error) error {
	code := sdkerr.Code(err)
	if strings.HasSuffix(code, "LimitExceeded") && code != "RequestLimitExceeded" || code == "ServiceQuotaExceededException" {
		return fmt.Errorf("%w: %w: delete what is not needed any more, or ask AWS for more: %w", bake.ErrRefused, ErrQuota, err)
	}
	return err
}

const (
	// settleTime is how long something that exists may be said not to. Puts were seen to answer so for 56 s after the start of a snapshot
	// (coldsnap issue 43), reads for 55 s after its end.
	settleTime = 3 * time.Minute
	settlePoll = 2 * time.Second
)

// settled calls f until it does not say any more that something is not there, and gives up after settleTime.
func (p *Publisher) settled(ctx context.Context, f func() error) error {
	return p.until(ctx, p.c.Clock.Now().Add(settleTime), notThere, f)
}

// busy reports whether AWS takes the same call a little later: EBS direct works on as many at once as it can, which the client does not count as
// throttling; or a part of EC2 does not know yet that a snapshot is completed.
func busy(err error) bool {
	return sdkerr.Code(err) == "ConcurrentLimitExceededException" || sdkerr.Code(err) == "IncorrectState"
}

// until calls f as long as its error is passing and there is time left, and returns its last error.
func (p *Publisher) until(ctx context.Context, end time.Time, passing func(error) bool, f func() error) error {
	for {
		err := f()
		if err == nil || !passing(err) && !busy(err) || !p.c.Clock.Now().Before(end) {
			return explain(err)
		}
		if cause := p.c.Clock.Sleep(ctx, settlePoll); cause != nil {
			return errors.Join(cause, err)
		}
	}
}
