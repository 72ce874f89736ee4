//go:build !linux

package test

import (
	"errors"
	"os"
)

func scratchFile(string) (*os.File, error) {
	return nil, errors.New("images are tested on Linux hosts only: run iibake on Linux, in a virtual machine for example")
}
