package s3

import (
	"bufio"
	"io"
)

// NewChunkReader returns a reader of the content in aws-chunked framing.
func NewChunkReader(r *bufio.Reader) io.Reader { return &chunkReader{from: r} }
