package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/iibake/iibake/bake"
)

// zeroBlock is the digest of a block of zeros.
const zeroBlock bake.Digest = "sha256:07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541"

// codec is the compression of blocks. A file of exactly BlockSize bytes is a block as it is, since a compressed one is only
// kept if it is shorter.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	// The digest of the block covers what a checksum of the frame would.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(BlockSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true), zstd.IgnoreChecksum(true))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	return &codec{enc: enc, dec: dec}, nil
}

// pack compresses block into buf. The result is in either of them.
func (c *codec) pack(block []byte, buf *buffer) []byte {
	packed := c.enc.EncodeAll(block, buf[:0])
	if len(packed) >= BlockSize {
		return block
	}
	return packed
}

func (c *codec) unpack(packed, block []byte) error {
	if len(packed) == BlockSize {
		copy(block, packed)
		return nil
	}
	out, err := c.dec.DecodeAll(packed, block[:0:BlockSize])
	if err == nil && len(out) != BlockSize {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// isZero compares b with itself, shifted by one byte: the comparison is vectorised and ends at the first difference.
func isZero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

// Block reads one block into buf, which is at least BlockSize long. What it holds after an error is not defined. The error
// wraps [ErrNotFound] or [ErrCorrupt].
func (s *Store) Block(ctx context.Context, d bake.Digest, buf []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(buf) < BlockSize {
		return fmt.Errorf("block %s: %w", d.Short(), io.ErrShortBuffer)
	}
	if _, err := bake.ParseDigest(string(d)); err != nil {
		return fmt.Errorf("read block: %w", err)
	}
	err := s.readBlock(d, buf[:BlockSize])
	if err == nil && bake.DigestOf(buf[:BlockSize]) != d {
		err = fmt.Errorf("%w: its content is not that of its digest", ErrCorrupt)
	}
	if err != nil {
		s.sound.Delete(d) // it was, and is to be stored again when somebody has it
		return fmt.Errorf("block %s in %s: %w", d.Short(), s.path(blocksDir, d.Hex()), err)
	}
	s.sound.Store(d, nil)
	return nil
}

// readBlock reads a block without looking at what is in it.
func (s *Store) readBlock(d bake.Digest, block []byte) error {
	packed := s.buffer()
	defer s.release(packed)
	n, err := readFile(s.path(blocksDir, d.Hex()), packed[:])
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	c, err := s.codec()
	if err != nil {
		return err
	}
	if err := c.unpack(packed[:n], block); err != nil {
		return fmt.Errorf("%w: %d bytes of it cannot be decompressed: %w", ErrCorrupt, n, err)
	}
	return nil
}

// diskBlock reads a block that a disk consists of, and tells what to do if it cannot be had.
func (s *Store) diskBlock(ctx context.Context, disk bake.Digest, b Block, buf []byte) error {
	err := s.Block(ctx, b.Digest, buf)
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("disk %s, block %d: %w: bake the image again with iibake build --force, which stores the block anew", disk.Short(), b.Index, err)
	}
	return err
}

// has reports whether the store holds the block intact. The first look at a block costs about as much as storing it again,
// without the wait for the disk; a disk that was materialised here and changed a little is imported without any.
func (s *Store) has(d bake.Digest, block []byte) bool {
	if _, ok := s.sound.Load(d); ok && s.exists(d) {
		return true
	}
	buf := s.buffer()
	defer s.release(buf)
	if s.readBlock(d, buf[:BlockSize]) != nil || !bytes.Equal(buf[:BlockSize], block) {
		return false
	}
	s.sound.Store(d, nil)
	return true
}

// exists reports whether the store holds the block in some form. It is for blocks that are known from a manifest, a thousand
// at a time.
func (s *Store) exists(d bake.Digest) bool {
	info, err := os.Lstat(s.path(blocksDir, d.Hex()))
	return err == nil && info.Size() > 0
}

// readFile reads as much of a file as buf can take.
func readFile(name string, buf []byte) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	n, err := io.ReadFull(f, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}
