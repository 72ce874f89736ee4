package ebs

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
)

const (
	tokenAge = 7 * 24 * time.Hour // documented, less the jitter that was seen
	pageAge  = time.Hour          // documented
)

// expiry returns until when tokens given out now are good: 6½ to 7 days ahead, a whole number of minutes, the same for one listing. An empty
// listing expires at once.
func expiry(now time.Time, snapshot string, n int) time.Time {
	if n == 0 {
		return now
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(snapshot + now.String()))
	return now.Add(tokenAge - time.Duration(h.Sum32()%(12*60))*time.Minute)
}

// blockToken lets its bearer read a block of a snapshot. It names the content, so that it works also when the snapshot is gone.
func blockToken(snapshot string, index int64, d bake.Digest, until time.Time) string {
	sum, _ := hex.DecodeString(d.Hex())
	body := binary.BigEndian.AppendUint32(sum, uint32(until.Unix())) //nolint:gosec // good until 2106
	return kit.Seal(blockScope(snapshot, index), string(body))
}

// openBlockToken returns the block that a token stands for, if it is one for that block of that snapshot and still good.
func openBlockToken(token, snapshot string, index int64, now time.Time) (bake.Digest, bool) {
	body, ok := kit.Open(blockScope(snapshot, index), token)
	if !ok || len(body) != 36 {
		return "", false
	}
	until := time.Unix(int64(binary.BigEndian.Uint32([]byte(body[32:]))), 0)
	return bake.Digest("sha256:" + hex.EncodeToString([]byte(body[:32]))), !now.After(until)
}

func blockScope(snapshot string, index int64) string {
	return string(binary.BigEndian.AppendUint64([]byte("block "+snapshot), uint64(index))) //nolint:gosec // only bits
}

// pageToken is for the page of a listing that begins at index.
func pageToken(scope string, index int64, until time.Time) string {
	body := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))                   //nolint:gosec // only bits
	return kit.Seal(scope, string(binary.BigEndian.AppendUint64(body, uint64(index)))) //nolint:gosec // only bits
}

func openPageToken(scope, token string, now time.Time) (index int64, ok bool) {
	body, ok := kit.Open(scope, token)
	if !ok || len(body) != 16 {
		return 0, false
	}
	until := time.Unix(int64(binary.BigEndian.Uint64([]byte(body[:8]))), 0)    //nolint:gosec // only bits
	return int64(binary.BigEndian.Uint64([]byte(body[8:]))), !now.After(until) //nolint:gosec // only bits
}
