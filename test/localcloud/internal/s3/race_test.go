package s3_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const writers = 32

// count returns how many files there are below a folder.
func count(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// race has many do the same at once, and returns who succeeded; the others must fail in the way that is right.
func race(w *world, code string, f func(i int) error) []int {
	w.Helper()
	var winners []int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			err := f(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, i)
			} else {
				wantError(w.T, err, code)
			}
		})
	}
	all.Wait()
	return winners
}

func TestOneOfManyCreates(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		for round := range 8 {
			key := fmt.Sprint("key", round)
			winners := race(w, "PreconditionFailed", func(i int) error {
				_, err := w.put(c, key, strconv.Itoa(i), func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
				return err
			})
			if len(winners) != 1 {
				w.Fatalf("%v created %s", winners, key)
			}
			if got := w.get(c, key); got != strconv.Itoa(winners[0]) {
				w.Errorf("%d won, but it is %s", winners[0], got)
			}
		}
	})
}

func TestOneOfManySwaps(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		etag, err := w.put(c, "head", "start")
		w.must(err)
		for round := range 8 {
			winners := race(w, "PreconditionFailed", func(i int) error {
				_, err := w.put(c, "head", fmt.Sprint(round, i), func(in *awss3.PutObjectInput) { in.IfMatch = &etag })
				return err
			})
			if len(winners) != 1 {
				w.Fatalf("%v swapped", winners)
			}
			etag = etagOf(fmt.Sprint(round, winners[0]))
		}
		_, err = w.put(c, "none", "x", func(in *awss3.PutObjectInput) { in.IfMatch = &etag })
		wantError(w.T, err, "NoSuchKey")
		_, err = c.CopyObject(w.Context(), &awss3.CopyObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("head"), CopySource: aws.String(bucket + "/head"), MetadataDirective: types.MetadataDirectiveReplace, IfNoneMatch: aws.String("*"),
		})
		wantError(w.T, err, "PreconditionFailed")
	})
}

func TestOneOfManyCompletes(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		uploads := make([]*awss3.CompleteMultipartUploadInput, writers)
		for i := range uploads {
			uploads[i] = w.upload(c, "key", strconv.Itoa(i))
			uploads[i].IfNoneMatch = aws.String("*")
		}
		winners := race(w, "PreconditionFailed", func(i int) error {
			_, err := c.CompleteMultipartUpload(w.Context(), uploads[i])
			return err
		})
		if len(winners) != 1 {
			w.Fatalf("%v completed", winners)
		}
		if got := w.get(c, "key"); got != strconv.Itoa(winners[0]) {
			w.Errorf("%d won, but it is %s", winners[0], got)
		}
	})
}

func TestDeleteOnlyWhatIsMeant(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		etag, err := w.put(c, "x", "1")
		w.must(err)
		remove := func(etag string) error {
			_, err := c.DeleteObject(w.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("x"), IfMatch: &etag})
			return err
		}
		_, err = w.put(c, "x", "2")
		w.must(err)
		wantError(w.T, remove(etag), "PreconditionFailed")
		// A swap and a delete of the same version: one of them is too late, and nothing is lost that was written.
		for round := range 20 {
			body := fmt.Sprint("new", round)
			before, err := w.put(c, "x", fmt.Sprint("old", round))
			w.must(err)
			var swapped, removed error
			var all sync.WaitGroup
			all.Go(func() { removed = remove(before) })
			all.Go(func() {
				_, swapped = w.put(c, "x", body, func(in *awss3.PutObjectInput) { in.IfMatch = &before })
			})
			all.Wait()
			if swapped == nil && w.get(c, "x") != body {
				w.Errorf("round %d: the new version is lost", round)
			}
			if (swapped == nil) == (removed == nil) {
				w.Errorf("round %d: swap %v, delete %v", round, swapped, removed)
			}
		}
	})
}

// upload uploads bodies as parts, and returns what completes it.
func (w *world) upload(c *awss3.Client, key string, bodies ...string) *awss3.CompleteMultipartUploadInput {
	w.Helper()
	up, err := c.CreateMultipartUpload(w.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, ContentType: aws.String("text/x-test"), Metadata: map[string]string{"who": "me"},
	})
	w.must(err)
	done := &types.CompletedMultipartUpload{}
	for i, body := range bodies {
		n := aws.Int32(int32(i + 1))
		p, err := c.UploadPart(w.Context(), &awss3.UploadPartInput{Bucket: aws.String(bucket), Key: &key, UploadId: up.UploadId, PartNumber: n, Body: strings.NewReader(body)})
		w.must(err)
		if *p.ETag != etagOf(body) {
			w.Errorf("ETag of part %d is %s", *n, *p.ETag)
		}
		done.Parts = append(done.Parts, types.CompletedPart{PartNumber: n, ETag: p.ETag})
	}
	return &awss3.CompleteMultipartUploadInput{Bucket: aws.String(bucket), Key: &key, UploadId: up.UploadId, MultipartUpload: done}
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		first, last := strings.Repeat("a", 5<<20), "the end"
		out, err := c.CompleteMultipartUpload(w.Context(), w.upload(c, "big", first, last))
		w.must(err)
		if !strings.HasSuffix(*out.ETag, `-2"`) {
			w.Errorf("ETag %s", *out.ETag)
		}
		head, err := c.HeadObject(w.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("big"), IfMatch: out.ETag})
		w.must(err)
		if *head.ETag != *out.ETag || head.Metadata["who"] != "me" || *head.ContentType != "text/x-test" || w.get(c, "big") != first+last {
			w.Errorf("it is %s %v", *head.ETag, head.Metadata)
		}
		list, err := c.ListObjectsV2(w.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket)})
		w.must(err)
		if *list.Contents[0].ETag != *out.ETag {
			w.Errorf("in the list it is %s", *list.Contents[0].ETag)
		}
		part, err := c.GetObject(w.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("big"), PartNumber: aws.Int32(2)})
		w.must(err)
		if *part.ContentLength != int64(len(last)) || *part.PartsCount != 2 {
			w.Errorf("part 2 has %d bytes", *part.ContentLength)
		}
		_, err = w.put(c, "big", "x", func(in *awss3.PutObjectInput) { in.IfMatch = aws.String(strings.Replace(*out.ETag, "-2", "-3", 1)) })
		wantError(w.T, err, "PreconditionFailed")
		_, err = w.put(c, "big", "small now", func(in *awss3.PutObjectInput) { in.IfMatch = out.ETag })
		w.must(err)
	})
}

func TestMultipartRefusals(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		in := w.upload(c, "x", "too small", "last")
		_, err := c.CompleteMultipartUpload(w.Context(), in)
		wantError(w.T, err, "EntityTooSmall")
		parts := in.MultipartUpload.Parts
		for code, wrong := range map[string][]types.CompletedPart{
			"InvalidPart":      {{PartNumber: aws.Int32(7), ETag: parts[0].ETag}},
			"InvalidPartOrder": {parts[1], parts[0]},
			"MalformedXML":     {},
		} {
			in.MultipartUpload.Parts = wrong
			_, err := c.CompleteMultipartUpload(w.Context(), in)
			wantError(w.T, err, code)
		}
		_, err = c.AbortMultipartUpload(w.Context(), &awss3.AbortMultipartUploadInput{Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId})
		w.must(err)
		in.MultipartUpload.Parts = parts[:1]
		_, err = c.CompleteMultipartUpload(w.Context(), in)
		wantError(w.T, err, "NoSuchUpload")
	})
}
