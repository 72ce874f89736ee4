package target

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

// watch explains the errors of every call, and tells who observes.
func (t *Target) watch(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("iibake", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		began := time.Now()
		out, metadata, err := next.HandleInitialize(ctx, in)
		service, operation := middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)
		err = explain(ctx, err, iamPrefix(service)+":"+operation)
		if t.set.options.Observe != nil {
			t.set.options.Observe(Call{
				Target: t.Name, Account: t.Account, Region: t.Region, Service: iamPrefix(service), Operation: operation,
				Attempts: attemptsOf(metadata), Took: time.Since(began), Err: err,
			})
		}
		return out, metadata, err
	}), middleware.After)
}

func attemptsOf(m middleware.Metadata) int {
	if results, ok := retry.GetAttemptResults(m); ok {
		return max(1, len(results.Results))
	}
	return 1
}

// iamPrefix returns what a service is called in IAM actions.
func iamPrefix(service string) string {
	return strings.ToLower(strings.ReplaceAll(service, " ", ""))
}
