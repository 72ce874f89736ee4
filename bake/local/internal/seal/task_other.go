//go:build !linux

package seal

import (
	"context"
	"encoding/json"
	"os"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// Task returns an error: sandboxes need Linux.
func Task(context.Context, *sandbox.Env, json.RawMessage) (any, error) { return nil, sandbox.Check() }

func punch(*os.File, int64, int64) error { return sandbox.Check() }
