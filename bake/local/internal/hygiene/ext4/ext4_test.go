package ext4_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/hygiene/ext4"
)

// TestFreeBlocks compares with what dumpe2fs says about filesystems of many shapes.
func TestFreeBlocks(t *testing.T) {
	tree := t.TempDir()
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(tree, strconv.Itoa(i)), make([]byte, i*97), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, options := range []string{
		"-b 4096", "-b 1024", "-b 2048 -I 128", "-O ^64bit", "-O ^flex_bg", "-O ^sparse_super,^resize_inode -b 1024", "-O ^resize_inode", "-O ^metadata_csum,^uninit_bg",
		"-O ^has_journal -G 4 -b 1024", "-g 8192 -b 4096", "-N 200000 -b 1024",
	} {
		t.Run(options, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "disk")
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"-q", "-F", "-d", tree}, strings.Fields(options)...)
			if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", append(args, name, "300M")...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got, want := freeOf(t, name), dumpe2fs(t, name)
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// freeOf returns the free blocks as dumpe2fs writes them, but joined across groups.
func freeOf(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	e, err := ext4.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := e.Free()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range runs {
		list = append(list, fmt.Sprintf("%d-%d", r.From/e.BlockSize(), r.To/e.BlockSize()-1))
	}
	return list
}

func dumpe2fs(t *testing.T, name string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "dumpe2fs", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var runs []ext4.Span
	for _, m := range regexp.MustCompile(`(?m)^  Free blocks: (.+)$`).FindAllStringSubmatch(string(out), -1) {
		for part := range strings.SplitSeq(m[1], ", ") {
			var s ext4.Span
			if n, _ := fmt.Sscanf(part, "%d-%d", &s.From, &s.To); n == 1 {
				s.To = s.From
			}
			if n := len(runs); n > 0 && runs[n-1].To+1 == s.From {
				runs[n-1].To = s.To
				continue
			}
			runs = append(runs, s)
		}
	}
	var list []string
	for _, r := range runs {
		list = append(list, fmt.Sprintf("%d-%d", r.From, r.To))
	}
	return list
}

func TestNotExt4(t *testing.T) {
	if _, err := ext4.Open(strings.NewReader(strings.Repeat("x", 4096))); err == nil {
		t.Error("taken for ext4")
	}
	if _, err := ext4.Open(strings.NewReader("short")); err == nil {
		t.Error("read beyond the end")
	}
}
