package qcow2_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/machine"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/qcow2"
)

// file makes a file of 1 GiB and has qemu-io do something to it.
func file(t testing.TB, commands ...string) *io.SectionReader {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := machine.Format(t.Context(), f, bake.GiB+512); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f", "qcow2", "-d", "unmap"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	if out, err := exec.CommandContext(t.Context(), "qemu-io", append(args, f.Name())...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	body, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))
}

func TestChanged(t *testing.T) {
	f := file(t, "write -P 7 5M 4k", "write -P 9 1G 512", "write -z 10M 512k", "write -P 1 20M 512k", "discard 20M 512k")
	size, got, err := qcow2.Changed(f)
	if err != nil || size != 1<<30+512 || len(got) != 4 {
		t.Fatalf("%d, %v, %v", size, got, err)
	}
	for i, want := range []struct {
		index int64
		first byte
		zero  bool
	}{{10, 7, false}, {20, 0, true}, {40, 0, true}, {2048, 9, false}} {
		if got[i].Index != want.index || (got[i].At == 0) != want.zero {
			t.Errorf("%d: %+v", i, got[i])
			continue
		}
		if b := make([]byte, 1); !want.zero {
			if _, err := f.ReadAt(b, got[i].At); err != nil || b[0] != want.first {
				t.Errorf("%d: %v, %v", i, b, err)
			}
		}
	}
}

func TestOtherFiles(t *testing.T) {
	good := make([]byte, 4*disk.BlockSize)
	f := file(t, "write -P 7 5M 4k")
	if _, err := f.ReadAt(good, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"raw":           func(b []byte) []byte { return make([]byte, len(b)) },
		"clusters":      func(b []byte) []byte { b[23] = 16; return b },
		"encrypted":     func(b []byte) []byte { b[35] = 1; return b },
		"feature":       func(b []byte) []byte { b[79] = 16; return b },
		"far table":     func(b []byte) []byte { b[41] = 1; return b },
		"endless table": func(b []byte) []byte { b[36] = 255; return b },
		"cut off":       func(b []byte) []byte { return b[:200] },
	} {
		body := change(bytes.Clone(good))
		if _, got, err := qcow2.Changed(io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))); !errors.Is(err, qcow2.ErrFormat) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func FuzzChanged(f *testing.F) {
	good := file(f, "write -P 7 5M 4k")
	body := make([]byte, 1<<12)
	_, _ = good.ReadAt(body, 0)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		size, all, err := qcow2.Changed(io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))))
		for _, c := range all {
			if err != nil || c.Index*disk.BlockSize >= size {
				t.Errorf("%+v, %v", c, err)
			}
		}
	})
}
