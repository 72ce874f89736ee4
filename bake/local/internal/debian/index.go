package debian

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"path"

	"github.com/ulikunitz/xz"

	"github.com/iibake/iibake/bake"
)

// addVersions reads an index of packages, compressed as its name says, and keeps the newest version of each.
func addVersions(newest map[string]string, name string, r io.Reader) error {
	var err error
	switch path.Ext(name) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".xz":
		r, err = xz.NewReader(bufio.NewReader(r))
	}
	if err != nil {
		return err
	}
	lines := bufio.NewReaderSize(r, 64<<10)
	var pkg string
	for {
		line, err := lines.ReadSlice('\n')
		if value, ok := bytes.CutPrefix(line, []byte("Package: ")); ok {
			pkg = string(bytes.TrimSpace(value))
		}
		if value, ok := bytes.CutPrefix(line, []byte("Version: ")); ok {
			keepNewer(newest, pkg, string(bytes.TrimSpace(value)))
		}
		for errors.Is(err, bufio.ErrBufferFull) { // a long list of dependencies
			_, err = lines.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func keepNewer(newest map[string]string, pkg, version string) {
	if old, ok := newest[pkg]; pkg != "" && (!ok || bake.CompareDebianVersions(old, version) < 0) {
		newest[pkg] = version
	}
}
