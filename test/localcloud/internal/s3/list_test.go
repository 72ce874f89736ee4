package s3_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"pgregory.net/rapid"
)

// TestListsAreComplete lists random keys by random pages, and compares with what a listing is by definition.
func TestListsAreComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	c := w.client(account, region)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		name := fmt.Sprint("bucket-", round)
		_, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: in(region)})
		w.must(err)
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab/&]{1,5}`), 0, 20, rapid.ID).Draw(rt, "keys")
		for _, key := range keys {
			_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &name, Key: &key})
			w.must(err)
		}
		prefix := rapid.StringMatching(`[ab/]{0,2}`).Draw(rt, "prefix")
		delimiter := rapid.SampledFrom([]string{"", "/", "b"}).Draw(rt, "delimiter")
		in := &awss3.ListObjectsV2Input{Bucket: &name, MaxKeys: aws.Int32(rapid.Int32Range(1, 7).Draw(rt, "size"))}
		if prefix != "" {
			in.Prefix = &prefix
		}
		if delimiter != "" {
			in.Delimiter = &delimiter
		}
		if rapid.Bool().Draw(rt, "encoded") {
			in.EncodingType = types.EncodingTypeUrl
		}
		var got []string
		pages := awss3.NewListObjectsV2Paginator(c, in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			w.must(err)
			if n := int32(len(out.Contents) + len(out.CommonPrefixes)); n > *in.MaxKeys || n != *out.KeyCount {
				rt.Fatalf("%d on a page of %d", n, *in.MaxKeys)
			}
			for _, o := range out.Contents {
				got = append(got, plain(*o.Key))
			}
			for _, p := range out.CommonPrefixes {
				got = append(got, "group "+plain(*p.Prefix))
			}
		}
		slices.Sort(got)
		if want := listing(keys, prefix, delimiter); !slices.Equal(got, want) {
			rt.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func plain(s string) string { return strings.NewReplacer("%26", "&", "%2F", "/").Replace(s) }

// listing is what a listing of keys is.
func listing(keys []string, prefix, delimiter string) []string {
	var items []string
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		item := key
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			item = "group " + prefix + rest[:i+len(delimiter)]
		}
		if !slices.Contains(items, item) {
			items = append(items, item)
		}
	}
	slices.Sort(items)
	return items
}

func TestDeleteMany(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		var ids []types.ObjectIdentifier
		for i := range 10 {
			key := fmt.Sprint("k", i)
			_, err := w.put(c, key, key)
			w.must(err)
			ids = append(ids, types.ObjectIdentifier{Key: &key})
		}
		out, err := c.DeleteObjects(w.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: ids[:9]}})
		w.must(err)
		if len(out.Deleted) != 9 || len(out.Errors) != 0 {
			w.Errorf("%d deleted, %d errors", len(out.Deleted), len(out.Errors))
		}
		list, err := c.ListObjects(w.Context(), &awss3.ListObjectsInput{Bucket: aws.String(bucket)})
		w.must(err)
		if len(list.Contents) != 1 || *list.Contents[0].Key != "k9" {
			w.Errorf("left are %d", len(list.Contents))
		}
	})
}
