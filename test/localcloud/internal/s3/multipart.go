package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // what S3's ETags are
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rclone/gofakes3"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
)

// minPart is the least size of all parts but the last.
const minPart = 5 << 20

// upload is a multipart upload. It does not outlive the process: its parts are scratch.
type upload struct {
	bucket, key string
	meta        map[string]string
	parts       map[int]part
}

// part is a part of an upload. Its content has a name that no other part ever had.
type part struct {
	name, etag string
	size       int64
}

// partsName is the name of the parts of an upload.
func partsName(id gofakes3.UploadID) string { return partName + "/" + string(id) }

// CreateMultipartUpload begins an upload.
func (b backend) CreateMultipartUpload(_ context.Context, bucket, key string, meta map[string]string) (gofakes3.UploadID, error) {
	id := gofakes3.UploadID(strings.ReplaceAll(kit.UUID()+kit.UUID(), "-", ""))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buckets[bucket] == nil {
		return "", gofakes3.BucketNotFound(bucket)
	}
	b.uploads[id] = &upload{bucket: bucket, key: key, meta: meta, parts: map[int]part{}}
	return id, nil
}

// UploadPart keeps a part, in place of the one of that number.
func (b backend) UploadPart(_ context.Context, _, _ string, id gofakes3.UploadID, number int, size int64, body io.Reader) (string, error) {
	d, err := b.vault.create()
	if err != nil {
		return "", err
	}
	defer d.discard()
	sum := md5.New() //nolint:gosec // what S3's ETags are
	n, err := fill(io.MultiWriter(d, sum), body, size)
	if err != nil {
		return "", err
	}
	p := part{name: partsName(id) + "/" + kit.UUID(), etag: hex.EncodeToString(sum.Sum(nil)), size: n}
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.uploads[id]
	if u == nil {
		return "", gofakes3.ErrNoSuchUpload
	}
	if err := d.keep(p.name, nil); err != nil {
		return "", err
	}
	if old, ok := u.parts[number]; ok {
		_ = b.vault.remove(old.name)
	}
	u.parts[number] = p
	return quoted(p.etag), nil
}

// CompleteMultipartUpload makes an object of parts. Two at a time for one upload are one after the other in effect: the later one finds the
// upload gone, or its conditions no longer met.
func (b backend) CompleteMultipartUpload(ctx context.Context, bucket, key string, id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	u, parts, err := b.chosen(id, in)
	if err != nil {
		exchangeOf(ctx).client = gofakes3.HasErrorCode(err, errTooSmall)
		return "", "", err
	}
	d, err := b.vault.create()
	if err != nil {
		return "", "", err
	}
	defer d.discard()
	o := &object{Key: key, Modified: b.clock.Now(), Metadata: maps.Clone(u.meta)}
	sum := md5.New() //nolint:gosec // what S3's ETags are
	for _, p := range parts {
		if err := b.appendPart(d, p); err != nil {
			return "", "", err
		}
		digest, _ := hex.DecodeString(p.etag)
		sum.Write(digest)
		o.Size, o.Parts = o.Size+p.size, append(o.Parts, p.size)
	}
	o.ETag = fmt.Sprintf("%x-%d", sum.Sum(nil), len(parts))
	if err := b.store(bucket, o, d, exchangeOf(ctx).conditions); err != nil {
		return "", "", err
	}
	return "", quoted(o.ETag), b.forget(id)
}

// chosen returns the parts that a request names, after a look at their order and their sizes.
func (b backend) chosen(id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest) (*upload, []part, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.uploads[id]
	switch {
	case u == nil:
		return nil, nil, gofakes3.ErrNoSuchUpload
	case len(in.Parts) == 0:
		return nil, nil, gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, "You must specify at least one part")
	case !slices.IsSortedFunc(in.Parts, func(a, b gofakes3.CompletedPart) int { return a.PartNumber - b.PartNumber }):
		return nil, nil, gofakes3.ErrorMessage(gofakes3.ErrInvalidPartOrder, "The list of parts was not in ascending order. Parts must be ordered by part number.")
	}
	var parts []part
	for i, named := range in.Parts {
		p, ok := u.parts[named.PartNumber]
		if !ok || p.etag != strings.Trim(named.ETag, `"`) {
			return nil, nil, gofakes3.ErrorMessage(gofakes3.ErrInvalidPart, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag. Part: "+strconv.Itoa(named.PartNumber))
		}
		if p.size < minPart && i < len(in.Parts)-1 {
			return nil, nil, gofakes3.ErrorMessage(errTooSmall, "Your proposed upload is smaller than the minimum allowed size")
		}
		parts = append(parts, p)
	}
	return u, parts, nil
}

// errTooSmall is an error that the library does not know.
const errTooSmall gofakes3.ErrorCode = "EntityTooSmall"

func (b backend) appendPart(to io.Writer, p part) error {
	c, err := b.vault.open(p.name)
	if err != nil {
		return gofakes3.ErrNoSuchUpload // another request completed or aborted it
	}
	defer func() { _ = c.Close() }()
	_, err = fill(to, io.NewSectionReader(c, 0, p.size), p.size)
	return err
}

// AbortMultipartUpload gives up an upload.
func (b backend) AbortMultipartUpload(_ context.Context, _, _ string, id gofakes3.UploadID) error {
	return b.forget(id)
}

func (b backend) forget(id gofakes3.UploadID) error {
	b.mu.Lock()
	delete(b.uploads, id)
	b.mu.Unlock()
	return b.vault.remove(partsName(id))
}
