package disk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/iibake/iibake/bake"
)

// The log of a draft has a line for each Put: the index, the slot and the digest in hexadecimal. A line is written when the content is, by
// one write each; the end of the process can cut off the last one only, which then counts for nothing, as nobody was told that it did.

// append adds a line. The caller holds the lock.
func (d *Draft) append(index int64, b draftBlock) error {
	n, err := fmt.Fprintf(d.log, "%d %d %s\n", index, b.slot, b.digest.Hex())
	if err != nil && n > 0 { // a full disk has cut it off: what follows must not be read as its end
		size, seekErr := d.log.Seek(-int64(n), io.SeekCurrent)
		if seekErr == nil {
			seekErr = d.log.Truncate(size)
		}
		return errors.Join(err, seekErr)
	}
	return err
}

// replay reads the log, and cuts off what is not a whole line. Content that is put again is written again: what another process has put may
// be lost.
func (d *Draft) replay() error {
	lines := bufio.NewReader(d.log)
	whole := int64(0)
	for {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		index, b, ok := parseDraftLine(line)
		if !ok {
			break
		}
		whole += int64(len(line))
		d.blocks[index] = b
		d.next = max(d.next, b.slot+1)
	}
	d.doubt = whole > 0
	if err := d.log.Truncate(whole); err != nil {
		return err
	}
	_, err := d.log.Seek(whole, io.SeekStart)
	return err
}

func parseDraftLine(line string) (index int64, b draftBlock, ok bool) {
	var sum string
	if !strings.HasSuffix(line, "\n") {
		return 0, b, false
	}
	if n, err := fmt.Sscanf(line, "%d %d %s\n", &index, &b.slot, &sum); err != nil || n != 3 {
		return 0, b, false
	}
	digest, err := bake.ParseDigest("sha256:" + sum)
	b.digest = digest
	return index, b, err == nil && index >= 0 && b.slot >= zeroSlot
}
