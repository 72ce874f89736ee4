//go:build !linux

package inspect

import (
	"context"
	"encoding/json"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

func readContent(context.Context, *sandbox.Env, json.RawMessage) (any, error) {
	return nil, sandbox.Check()
}

func listFiles(context.Context, *sandbox.Env, json.RawMessage) (any, error) {
	return nil, sandbox.Check()
}
