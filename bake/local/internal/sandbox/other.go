//go:build !linux

package sandbox

import (
	"context"
	"fmt"
)

// Run returns an error wrapping [ErrUnavailable]: sandboxes are made of Linux namespaces.
func Run(context.Context, Job, any) error { return Check() }

// Check returns an error wrapping [ErrUnavailable].
func Check() error {
	return fmt.Errorf("%w: building images needs Linux: run it in a Linux machine", ErrUnavailable)
}

// Main reports that this process is no sandbox.
func Main(map[string]Task) (code int, ran bool) { return 0, false }

// Command returns an error wrapping [ErrUnavailable].
func (e *Env) Command(context.Context, Command) error { return Check() }

// Has reports false.
func (e *Env) Has(string) bool { return false }

// Trim returns an error wrapping [ErrUnavailable].
func Trim(string) error { return Check() }
