//go:build !linux

package local

import (
	"errors"
	"os"
)

var errNotLinux = errors.New("local bakes need Linux: run iibake build on a Linux machine or in CI")

func scratchFile(string) (*os.File, error) { return nil, errNotLinux }

func (w *work) keep(string) (string, error) { return "", errNotLinux }
