package main

import (
	"io/fs"
	"syscall"
)

// onDisk returns the bytes that a file takes on its disk: a sparse one takes fewer than its size.
func onDisk(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512 // the unit of st_blocks, whatever the filesystem
	}
	return info.Size()
}
