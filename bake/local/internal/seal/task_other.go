//go:build !linux

package seal

import (
	"context"
	"encoding/json"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// Task returns an error: sandboxes need Linux.
func Task(context.Context, *sandbox.Env, json.RawMessage) (any, error) { return nil, sandbox.Check() }
