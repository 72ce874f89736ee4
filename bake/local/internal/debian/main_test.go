package debian_test

import (
	"os"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/debian"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

func TestMain(m *testing.M) {
	tasks := debian.Tasks()
	tasks[lookTask] = look
	if code, ran := sandbox.Main(tasks); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const (
	lookTask = "test: look"
	mirror   = "http://deb.debian.org/debian"
)
