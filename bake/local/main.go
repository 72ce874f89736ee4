package local

import (
	"maps"

	"github.com/iibake/iibake/bake/local/internal/debian"
	"github.com/iibake/iibake/bake/local/internal/hygiene"
	"github.com/iibake/iibake/bake/local/internal/inspect"
	"github.com/iibake/iibake/bake/local/internal/layout"
	"github.com/iibake/iibake/bake/local/internal/provision"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/seal"
)

// Main turns this process into the sandbox that a bake started it as, and reports whether it was; the program then ends
// with code. It is the first thing that main, and the TestMain of tests that bake, call.
func Main() (code int, ran bool) {
	tasks := map[string]sandbox.Task{provision.TaskName: provision.Task, seal.TaskName: seal.Task, hygiene.TaskName: hygiene.Task}
	for _, more := range []map[string]sandbox.Task{debian.Tasks(), inspect.Tasks(), layout.Tasks()} {
		maps.Copy(tasks, more)
	}
	return sandbox.Main(tasks)
}
