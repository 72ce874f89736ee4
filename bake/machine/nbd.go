package machine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// The little of the NBD protocol (github.com/NetworkBlockDevice/nbd, doc/proto.md) that it takes to let QEMU read a disk that is
// no file: the fixed newstyle handshake with one export, and reads.
const (
	nbdMagic       = 0x4e42444d41474943 // NBDMAGIC
	nbdOption      = 0x49484156454f5054 // IHAVEOPT
	nbdOptionReply = 0x0003e889045565a9
	nbdRequest     = 0x25609513
	nbdReply       = 0x67446698

	nbdHandshakeFlags = 1 | 2 // fixed newstyle, no zeroes
	nbdExportFlags    = 1 | 2 // has flags, read-only

	nbdExportName, nbdAbort, nbdInfo, nbdGo        = 1, 2, 6, 7
	nbdAck, nbdInfoReply, nbdUnsupported    uint32 = 1, 3, 1<<31 | 1

	nbdRead, nbdDisconnect, nbdFlush = 0, 2, 3

	nbdIOError, nbdInvalid = 5, 22 // EIO, EINVAL

	nbdOptionLimit = 64 << 10
	nbdReadLimit   = 64 << 20
	nbdReaders     = 16 // what QEMU asks for at once
)

var errNBD = errors.New("not the NBD protocol")

// serveNBD lets the other end of a connection read a disk until it hangs up.
func serveNBD(conn net.Conn, disk *io.SectionReader) {
	defer func() { _ = conn.Close() }()
	n := &nbd{r: bufio.NewReader(conn), w: conn, disk: disk}
	if ready, err := n.shake(); err == nil && ready {
		n.transmit()
	}
}

type nbd struct {
	r    *bufio.Reader
	disk *io.SectionReader

	mu sync.Mutex
	w  io.Writer
}

// send writes values, big-endian, and data.
func (n *nbd) send(data []byte, values ...any) error {
	var b []byte
	for _, v := range values {
		var err error
		if b, err = binary.Append(b, binary.BigEndian, v); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := n.w.Write(b); err != nil || len(data) == 0 {
		return err
	}
	_, err := n.w.Write(data)
	return err
}

func (n *nbd) receive(values ...any) error {
	for _, v := range values {
		if err := binary.Read(n.r, binary.BigEndian, v); err != nil {
			return err
		}
	}
	return nil
}

// shake greets, and answers options until the client goes on to the disk.
func (n *nbd) shake() (ready bool, err error) {
	if err := n.send(nil, uint64(nbdMagic), uint64(nbdOption), uint16(nbdHandshakeFlags)); err != nil {
		return false, err
	}
	var flags uint32
	if err := n.receive(&flags); err != nil {
		return false, err
	}
	for {
		var magic uint64
		var option, length uint32
		if err := n.receive(&magic, &option, &length); err != nil {
			return false, err
		}
		if magic != nbdOption || length > nbdOptionLimit {
			return false, errNBD
		}
		if _, err := n.r.Discard(int(length)); err != nil {
			return false, err
		}
		ready, err := n.option(option)
		if ready || err != nil || option == nbdAbort {
			return ready, err
		}
	}
}

func (n *nbd) option(option uint32) (ready bool, err error) {
	reply := func(kind uint32, data []byte) error {
		return n.send(data, uint64(nbdOptionReply), option, kind, uint32(len(data))) //nolint:gosec // a dozen bytes
	}
	size := uint64(n.disk.Size()) //nolint:gosec // never negative
	switch option {
	case nbdExportName:
		return true, n.send(nil, size, uint16(nbdExportFlags))
	case nbdInfo, nbdGo:
		export := binary.BigEndian.AppendUint64(make([]byte, 2), size)
		if err := reply(nbdInfoReply, binary.BigEndian.AppendUint16(export, nbdExportFlags)); err != nil {
			return false, err
		}
		return option == nbdGo, reply(nbdAck, nil)
	case nbdAbort:
		return false, reply(nbdAck, nil)
	}
	return false, reply(nbdUnsupported, nil)
}

// nbdHeader is what a client asks of the disk.
type nbdHeader struct {
	Flags, Kind uint16
	Cookie      uint64
	Offset      uint64
	Length      uint32
}

// transmit answers requests, several at once, until the client hangs up.
func (n *nbd) transmit() {
	slots := make(chan struct{}, nbdReaders)
	for {
		var magic uint32
		var q nbdHeader
		if err := n.receive(&magic, &q); err != nil || magic != nbdRequest || q.Kind == nbdDisconnect {
			return
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			_ = n.answer(q) // a client that does not hear it has hung up
		}()
	}
}

func (n *nbd) answer(q nbdHeader) error {
	data, code := []byte(nil), uint32(0)
	switch {
	case q.Kind == nbdFlush:
	case q.Kind != nbdRead || q.Length > nbdReadLimit:
		code = nbdInvalid
	default:
		data = make([]byte, q.Length)
		if err := readFull(n.disk, data, q.Offset); err != nil {
			data, code = nil, nbdIOError
		}
	}
	return n.send(data, uint32(nbdReply), code, q.Cookie)
}

func readFull(disk *io.SectionReader, data []byte, offset uint64) error {
	if size := uint64(disk.Size()); offset > size || uint64(len(data)) > size-offset { //nolint:gosec // sizes are not negative
		return fmt.Errorf("%d bytes at %d: %w", len(data), offset, io.ErrUnexpectedEOF)
	}
	read, err := disk.ReadAt(data, int64(offset)) //nolint:gosec // looked at above
	if read == len(data) {
		return nil
	}
	return err
}
