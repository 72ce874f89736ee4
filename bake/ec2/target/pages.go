package target

import (
	"context"
	"iter"
)

// Pages yields the pages of a listing, and ends with the first error. more copies the token of the next page from the answer to the request and
// returns it.
//
// The paginators of the SDK take a client as an interface. What is converted to one keeps all of its methods in the binary, and EC2 has 700:
// that would be half of it.
func Pages[In, Out, Options any](
	ctx context.Context, call func(context.Context, *In, ...func(*Options)) (*Out, error), in In, more func(*In, *Out) *string,
) iter.Seq2[*Out, error] {
	return func(yield func(*Out, error) bool) {
		for {
			out, err := call(ctx, &in)
			if !yield(out, err) || err != nil {
				return
			}
			if token := more(&in, out); token == nil || *token == "" {
				return
			}
		}
	}
}
