// Command iibake bakes, tests and promotes machine images.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/iibake/iibake/bake/local"
)

func main() {
	if code, ran := local.Main(); ran {
		os.Exit(code)
	}
	// The first signal ends the work in order, the second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, streams{os.Stdin, os.Stdout, os.Stderr}, os.Args))
}
