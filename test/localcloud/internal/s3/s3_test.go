package s3_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/s3"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	region  = "eu-west-1"
	account = "111122223333"
	bucket  = "catalog"
)

// accounts gives every access key the account of its name.
type accounts struct{}

func (accounts) Identify(_ context.Context, accessKey, _ string) (wire.Identity, error) {
	return wire.Identity{Account: accessKey[4:16], ARN: "arn:aws:iam::" + accessKey[4:16] + ":user/test"}, nil
}

// world is a server on a socket.
type world struct {
	*testing.T
	clock  *clock.Virtual
	server *s3.Server
	url    string
}

// newWorld serves the buckets of a folder, or of memory where dir is empty.
func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{T: t, clock: clock.NewVirtual(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))}
	server, err := s3.New(s3.Config{Dir: dir, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	w.server = server
	h := httptest.NewServer(wire.NewGateway(wire.Options{Accounts: accounts{}, Clock: w.clock, S3: server}))
	t.Cleanup(h.Close)
	w.url = h.URL
	return w
}

// both runs a test with a server in memory and one on disk, in which there is the bucket.
func both(t *testing.T, f func(w *world, c *awss3.Client)) {
	t.Helper()
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dir)
			c := w.client(account, region)
			w.makeBucket(c)
			f(w, c)
		})
	}
}

func (w *world) client(account, region string, change ...func(*awss3.Options)) *awss3.Client {
	return awss3.New(awss3.Options{
		Region: region, BaseEndpoint: &w.url, UsePathStyle: true, RetryMaxAttempts: 1,
		// as by config.LoadDefaultConfig
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA" + account, SecretAccessKey: "secret"}, nil
		}),
	}, change...)
}

func (w *world) makeBucket(c *awss3.Client) {
	w.Helper()
	_, err := c.CreateBucket(w.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket), CreateBucketConfiguration: in(region)})
	w.must(err)
}

func in(region string) *types.CreateBucketConfiguration {
	return &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// put puts an object under conditions, and returns its ETag.
func (w *world) put(c *awss3.Client, key, body string, change ...func(*awss3.PutObjectInput)) (string, error) {
	in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(body)}
	for _, f := range change {
		f(in)
	}
	out, err := c.PutObject(w.Context(), in)
	if err != nil {
		return "", err
	}
	return *out.ETag, nil
}

func (w *world) get(c *awss3.Client, key string) string {
	w.Helper()
	out, err := c.GetObject(w.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	w.must(err)
	body, err := io.ReadAll(out.Body)
	w.must(err)
	return string(body)
}

func etagOf(body string) string { return fmt.Sprintf(`"%x"`, md5.Sum([]byte(body))) }

func wantError(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		etag, err := w.put(c, "a/b c+d?é", "hello world", func(in *awss3.PutObjectInput) {
			in.ContentType, in.Metadata = aws.String("text/x-test"), map[string]string{"who": "me"}
		})
		w.must(err)
		if etag != etagOf("hello world") {
			w.Errorf("ETag %s", etag)
		}
		out, err := c.GetObject(w.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/b c+d?é"), ChecksumMode: types.ChecksumModeEnabled})
		w.must(err)
		body, err := io.ReadAll(out.Body) // compares the checksum, too
		w.must(err)
		if string(body) != "hello world" || *out.ETag != etag || *out.ContentType != "text/x-test" || out.Metadata["who"] != "me" || *out.ContentLength != 11 {
			w.Errorf("got %q %s %s %v", body, *out.ETag, *out.ContentType, out.Metadata)
		}
		if out.ChecksumCRC32 == nil || !out.LastModified.Equal(w.clock.Now()) {
			w.Errorf("checksum %v, modified %v", out.ChecksumCRC32, out.LastModified)
		}
		part, err := c.GetObject(w.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/b c+d?é"), Range: aws.String("bytes=6-8")})
		w.must(err)
		if body, _ := io.ReadAll(part.Body); string(body) != "wor" || *part.ContentRange != "bytes 6-8/11" {
			w.Errorf("range %q, %s", body, *part.ContentRange)
		}
		_, err = c.GetObject(w.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/b c+d?é"), Range: aws.String("bytes=11-")})
		wantError(w.T, err, "InvalidRange")
		_, err = c.HeadObject(w.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/b c+d?é"), IfNoneMatch: &etag})
		wantError(w.T, err, "NotModified")
		_, err = c.CopyObject(w.Context(), &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy"), CopySource: aws.String(bucket + "/a/b%20c%2Bd%3F%C3%A9")})
		w.must(err)
		if got := w.get(c, "copy"); got != "hello world" {
			w.Errorf("the copy is %q", got)
		}
		for _, key := range []string{"copy", "copy", "a/b c+d?é"} {
			_, err = c.DeleteObject(w.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
			w.must(err)
		}
		_, err = c.GetObject(w.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy")})
		wantError(w.T, err, "NoSuchKey")
		_, err = c.DeleteBucket(w.Context(), &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
		w.must(err)
		_, err = w.put(c, "x", "y")
		wantError(w.T, err, "NoSuchBucket")
	})
}

func TestEmptyAndLargeObjects(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		for _, body := range []string{"", strings.Repeat("0123456789abcdef", 1<<16)} {
			etag, err := w.put(c, "x", body)
			w.must(err)
			if got := w.get(c, "x"); got != body || etag != etagOf(body) {
				w.Errorf("%d bytes came back as %d", len(body), len(got))
			}
		}
	})
}

func TestTagging(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c *awss3.Client) {
		_, err := w.put(c, "x", "body", func(in *awss3.PutObjectInput) { in.Tagging = aws.String("a=1") })
		w.must(err)
		_, err = c.PutObjectTagging(w.Context(), &awss3.PutObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("x"), Tagging: &types.Tagging{
			TagSet: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}},
		}})
		w.must(err)
		out, err := c.GetObjectTagging(w.Context(), &awss3.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("x")})
		w.must(err)
		if len(out.TagSet) != 1 || *out.TagSet[0].Key != "b" || w.get(c, "x") != "body" {
			w.Errorf("tags %v", out.TagSet)
		}
	})
}

func TestWhatIsNotModelledIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	c := w.client(account, region)
	w.makeBucket(c)
	_, err := c.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	wantError(t, err, "NotImplemented")
	_, err = c.PutBucketPolicy(t.Context(), &awss3.PutBucketPolicyInput{Bucket: aws.String(bucket), Policy: aws.String("{}")})
	wantError(t, err, "NotImplemented")
	_, err = w.put(c, "x", "y", func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String(`"abc"`) })
	wantError(t, err, "NotImplemented")
}

func TestBucketsHaveOwnersAndRegions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	mine, other, far, east := w.client(account, region), w.client("999988887777", region), w.client(account, "us-west-2"), w.client(account, "us-east-1")
	w.makeBucket(mine)
	_, err := w.put(mine, "x", "y")
	w.must(err)
	create := func(c *awss3.Client, name, region string) error {
		in := &awss3.CreateBucketInput{Bucket: &name}
		if region != "" {
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
		}
		_, err := c.CreateBucket(t.Context(), in)
		return err
	}
	wantError(t, create(mine, bucket, region), "BucketAlreadyOwnedByYou")
	wantError(t, create(other, bucket, region), "BucketAlreadyExists")
	wantError(t, create(mine, "new", ""), "IllegalLocationConstraintException")
	wantError(t, create(mine, "new", "us-west-2"), "IllegalLocationConstraintException")
	wantError(t, create(east, "new", region), "IllegalLocationConstraintException")
	wantError(t, create(east, "New_", ""), "InvalidBucketName")
	w.must(create(east, "east", ""))
	w.must(create(east, "east", "")) // no error in this region only

	_, err = w.put(other, "x", "z")
	wantError(t, err, "AccessDenied")
	_, err = other.CopyObject(t.Context(), &awss3.CopyObjectInput{Bucket: aws.String("other"), Key: aws.String("x"), CopySource: aws.String(bucket + "/x")})
	wantError(t, err, "AccessDenied")
	_, err = w.put(far, "x", "z")
	wantError(t, err, "PermanentRedirect")
	head, err := mine.HeadBucket(t.Context(), &awss3.HeadBucketInput{Bucket: aws.String(bucket)})
	w.must(err)
	if *head.BucketRegion != region {
		t.Errorf("region %s", *head.BucketRegion)
	}
	where, err := mine.GetBucketLocation(t.Context(), &awss3.GetBucketLocationInput{Bucket: aws.String(bucket)})
	w.must(err)
	if where.LocationConstraint != region {
		t.Errorf("location %q", where.LocationConstraint)
	}
	for c, want := range map[*awss3.Client]int{mine: 2, other: 0} {
		out, err := c.ListBuckets(t.Context(), &awss3.ListBucketsInput{})
		w.must(err)
		if len(out.Buckets) != want {
			t.Errorf("%d buckets, want %d", len(out.Buckets), want)
		}
	}
	_, err = mine.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
	wantError(t, err, "BucketNotEmpty")
	if got := fmt.Sprint(w.server.Buckets()); got != "[catalog east]" {
		t.Errorf("buckets %s", got)
	}
}

func TestBucketsByHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	gateway := wire.NewGateway(wire.Options{Accounts: accounts{}, Clock: w.clock, S3: w.server})
	path := w.client(account, region)
	w.makeBucket(path)
	for _, endpoint := range []string{"", "http://localhost:4566", "http://s3.localhost:4566"} {
		c := w.client(account, region, func(o *awss3.Options) {
			o.UsePathStyle, o.HTTPClient, o.BaseEndpoint = false, &http.Client{Transport: gateway}, nil
			if endpoint != "" {
				o.BaseEndpoint = &endpoint
			}
		})
		_, err := w.put(c, "by/host", "of "+endpoint)
		w.must(err)
		if got := w.get(path, "by/host"); got != "of "+endpoint {
			t.Errorf("by path it is %q", got)
		}
	}
}

func TestADiskKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t, dir)
	c := w.client(account, region)
	w.makeBucket(c)
	big := strings.Repeat("x", 1<<20)
	for i := range 20 {
		_, err := w.put(c, fmt.Sprint("k", i), big[:i<<10], func(in *awss3.PutObjectInput) { in.Metadata = map[string]string{"n": strconv.Itoa(i)} })
		w.must(err)
	}
	up, err := c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("open")})
	w.must(err)
	_, err = c.UploadPart(t.Context(), &awss3.UploadPartInput{
		Bucket: aws.String(bucket), Key: aws.String("open"), UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("lost"),
	})
	w.must(err)
	files := count(t, dir)

	again := newWorld(t, dir)
	c = again.client(account, region)
	out, err := c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	w.must(err)
	if len(out.Contents) != 20 {
		t.Errorf("%d objects", len(out.Contents))
	}
	head, err := c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k7")})
	w.must(err)
	if *head.ETag != etagOf(big[:7<<10]) || head.Metadata["n"] != "7" || again.get(c, "k7") != big[:7<<10] {
		t.Errorf("k7 is %s %v", *head.ETag, head.Metadata)
	}
	if now := count(t, dir); now != files-1 {
		t.Errorf("%d files, want the part of the upload that was under way to be gone from %d", now, files)
	}
}

func TestUnfinishedWritesLeaveNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t, dir)
	c := w.client(account, region)
	w.makeBucket(c)
	files := count(t, dir)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/"+bucket+"/x", &broken{strings.NewReader(strings.Repeat("x", 1<<19))})
	w.must(err)
	sign(r)
	r.ContentLength = 1 << 20
	if resp, err := http.DefaultClient.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Errorf("half an object was taken: %s", resp.Status)
	}
	_, err = c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("x")})
	wantError(t, err, "NotFound")
	again := newWorld(t, dir)
	if now := count(t, dir); now != files {
		t.Errorf("%d files, want %d", now, files)
	}
	if got := again.server.Buckets(); len(got) != 1 {
		t.Errorf("buckets %v", got)
	}
}

// broken is a body that fails where it should end.
type broken struct{ io.Reader }

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		err = errors.New("the body broke")
	}
	return n, err
}
