package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // what S3's ETags are
	"encoding/hex"
	"io"
	"maps"
	"strings"

	"github.com/rclone/gofakes3"
)

// backend is the shelf as the library wants it. Its errors are the library's own types, unwrapped, for the library looks at nothing else.
type backend struct{ *shelf }

// ListBuckets returns the buckets of the caller.
func (b backend) ListBuckets(ctx context.Context) ([]gofakes3.BucketInfo, error) {
	account := exchangeOf(ctx).account
	b.mu.Lock()
	defer b.mu.Unlock()
	infos := []gofakes3.BucketInfo{}
	for _, bucket := range b.buckets {
		if bucket.Account == account {
			infos = append(infos, gofakes3.BucketInfo{Name: bucket.Name, CreationDate: gofakes3.NewContentTime(bucket.Created)})
		}
	}
	return infos, nil
}

// ListBucket returns a page of the objects of a bucket.
func (b backend) ListBucket(ctx context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	out, err := b.list(name, *prefix, page)
	exchangeOf(ctx).empty = err == nil && len(out.Contents)+len(out.CommonPrefixes) == 0
	return out, err
}

// CreateBucket makes a bucket of the caller, in the region of the call.
func (b backend) CreateBucket(ctx context.Context, name string) error {
	x := exchangeOf(ctx)
	return b.addBucket(bucketRecord{Name: name, Account: x.account, Region: x.region, Created: b.clock.Now()})
}

// BucketExists says whether a bucket is there; whether the caller may see it is decided before.
func (b backend) BucketExists(_ context.Context, name string) (bool, error) {
	_, ok := b.record(name)
	return ok, nil
}

// DeleteBucket deletes an empty bucket.
func (b backend) DeleteBucket(_ context.Context, name string) error { return b.dropBucket(name) }

// GetObject returns an object with its content, or a range of it.
func (b backend) GetObject(ctx context.Context, bucket, key string, asked *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	o, c, err := b.find(bucket, key, true)
	if err != nil {
		return nil, err
	}
	span, err := asked.Range(o.Size)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	out := describe(ctx, o)
	out.Range = span
	from, size := int64(0), o.Size
	if span != nil {
		from, size = span.Start, span.Length
	}
	out.Contents = struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(c, from, size), c}
	return out, nil
}

// HeadObject returns an object without its content.
func (b backend) HeadObject(ctx context.Context, bucket, key string) (*gofakes3.Object, error) {
	o, _, err := b.find(bucket, key, false)
	if err != nil {
		return nil, err
	}
	out := describe(ctx, o)
	out.Contents = io.NopCloser(strings.NewReader(""))
	return out, nil
}

// describe returns an object as the library wants it. The library knows an ETag as a hash only: the number of parts after it goes past it.
func describe(ctx context.Context, o *object) *gofakes3.Object {
	hash, suffix, _ := strings.Cut(o.ETag, "-")
	if suffix != "" {
		suffix = "-" + suffix
	}
	exchangeOf(ctx).suffix = suffix
	sum, _ := hex.DecodeString(hash)
	return &gofakes3.Object{Name: o.Key, Metadata: o.Metadata, Size: o.Size, Hash: sum, PartSizes: o.Parts}
}

// PutObject makes an object.
func (b backend) PutObject(ctx context.Context, bucket, key string, meta map[string]string, input io.Reader, size int64) (gofakes3.PutObjectResult, error) {
	o, err := b.put(ctx, bucket, key, meta, input, size)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	return gofakes3.PutObjectResult{ETag: quoted(o.ETag)}, nil
}

func (b backend) put(ctx context.Context, bucket, key string, meta map[string]string, input io.Reader, size int64) (*object, error) {
	d, err := b.vault.create()
	if err != nil {
		return nil, err
	}
	defer d.discard()
	sum := md5.New() //nolint:gosec // what S3's ETags are
	n, err := fill(io.MultiWriter(d, sum), input, size)
	if err != nil {
		return nil, err
	}
	x := exchangeOf(ctx)
	o := &object{Key: key, ETag: hex.EncodeToString(sum.Sum(nil)), Size: n, Modified: b.clock.Now(), Metadata: maps.Clone(meta)}
	maps.Copy(o.Metadata, x.checksums)
	return o, b.store(bucket, o, d, x.conditions)
}

// DeleteObject deletes an object.
func (b backend) DeleteObject(ctx context.Context, bucket, key string) (gofakes3.ObjectDeleteResult, error) {
	return gofakes3.ObjectDeleteResult{}, b.drop(bucket, key, exchangeOf(ctx).conditions)
}

// DeleteMulti deletes objects. The library has checked their conditions; between that and this another writer may come.
func (b backend) DeleteMulti(_ context.Context, bucket string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var out gofakes3.MultiDeleteResult
	for _, key := range keys {
		if err := b.drop(bucket, key, conditions{}); err != nil {
			result := gofakes3.ErrorResultFromError(err)
			result.Key = key
			out.Error = append(out.Error, result)
			continue
		}
		out.Deleted = append(out.Deleted, gofakes3.ObjectID{Key: key})
	}
	return out, nil
}

// CopyObject makes an object of the content of another one.
func (b backend) CopyObject(ctx context.Context, fromBucket, fromKey, bucket, key string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	from, c, err := b.find(fromBucket, fromKey, true)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	defer func() { _ = c.Close() }()
	o, err := b.put(ctx, bucket, key, meta, io.NewSectionReader(c, 0, from.Size), from.Size)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	return gofakes3.CopyObjectResult{ETag: quoted(o.ETag), LastModified: gofakes3.NewContentTime(o.Modified)}, nil
}

// SetObjectTagging replaces the tags of an object.
func (b backend) SetObjectTagging(_ context.Context, bucket, key, tagging string) error {
	old, c, err := b.find(bucket, key, true)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	d, err := b.vault.create()
	if err != nil {
		return err
	}
	defer d.discard()
	if _, err := fill(d, io.NewSectionReader(c, 0, old.Size), old.Size); err != nil {
		return err
	}
	o := *old
	o.Metadata = maps.Clone(old.Metadata)
	delete(o.Metadata, gofakes3.TaggingMetadataKey)
	if tagging != "" {
		o.Metadata[gofakes3.TaggingMetadataKey] = tagging
	}
	return b.store(bucket, &o, d, conditions{match: quoted(old.ETag)})
}
