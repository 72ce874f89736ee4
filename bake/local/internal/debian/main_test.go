package debian_test

import (
	"os"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/debian"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

func TestMain(m *testing.M) {
	if code, ran := sandbox.Main(debian.Tasks()); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const mirror = "http://deb.debian.org/debian"
