//go:build !linux

package machine

import (
	"context"
	"errors"
	"os"
)

var errLinux = errors.New("machines run on Linux hosts only: run iibake on Linux, in a virtual machine for example")

type process struct {
	pid  int
	kill context.CancelFunc
	done chan struct{}
	err  error
}

func startProcess(context.Context, string, *commandLine, *console) (*process, error) {
	return nil, errLinux
}

func socketPair() (ours, theirs *os.File, err error) { return nil, nil, errLinux }
