package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/iibake/iibake/bake/internal/sdkerr"
)

// bucket is the objects below a prefix. Names are without it.
type bucket struct {
	name, prefix string
	config       aws.Config
	page         int32 // names in a page; zero is as many as S3 gives

	mu    sync.Mutex
	calls calls
}

// calls is the three operations of S3 that are used. A client in a field would keep all of its methods in the binary, for catalogs are converted to an
// interface.
type calls struct {
	region string
	get    func(context.Context, *awss3.GetObjectInput, ...func(*awss3.Options)) (*awss3.GetObjectOutput, error)
	put    func(context.Context, *awss3.PutObjectInput, ...func(*awss3.Options)) (*awss3.PutObjectOutput, error)
	list   func(context.Context, *awss3.ListObjectsV2Input, ...func(*awss3.Options)) (*awss3.ListObjectsV2Output, error)
}

// usEast is where a bucket is looked for where nobody says a region; S3 tells from there where it is.
const usEast = "us-east-1"

func newBucket(c aws.Config, name, prefix string) *bucket {
	b := &bucket{name: name, prefix: prefix, config: c}
	if c.Region == "" {
		b.config.Region = usEast
	}
	b.calls = b.callsIn(b.config.Region)
	return b
}

func (b *bucket) callsIn(region string) calls {
	c := b.config.Copy()
	c.Region = region
	client := awss3.NewFromConfig(c, func(o *awss3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // what is not AWS seldom has a host name for each bucket
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return calls{region, client.GetObject, client.PutObject, client.ListObjectsV2}
}

// do makes a call, and again in the bucket's own region where S3 says that it is in another one.
func (b *bucket) do(ctx context.Context, call func(calls) error) error {
	b.mu.Lock()
	c := b.calls
	b.mu.Unlock()
	err := call(c)
	if region := regionIn(err); region != "" && region != c.region {
		c = b.callsIn(region)
		b.mu.Lock()
		b.calls = c
		b.mu.Unlock()
		err = call(c)
	}
	return b.explain(ctx, err)
}

// regionIn returns the region that a refusal names.
func regionIn(err error) string {
	api, response := smithy.APIError(nil), (*smithyhttp.ResponseError)(nil)
	if !errors.As(err, &api) || !errors.As(err, &response) || response.Response == nil {
		return ""
	}
	switch api.ErrorCode() {
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "TemporaryRedirect", "IllegalLocationConstraintException":
		return response.Response.Header.Get("X-Amz-Bucket-Region")
	}
	return ""
}

// object is what a name holds.
type object struct {
	body []byte
	etag string
}

// get returns the object of a name, or nil where there is none.
func (b *bucket) get(ctx context.Context, name string) (*object, error) {
	o := &object{}
	err := b.do(ctx, func(c calls) error {
		out, err := c.get(ctx, &awss3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name)})
		if err != nil {
			return err
		}
		defer func() { _ = out.Body.Close() }()
		o.etag = aws.ToString(out.ETag)
		o.body, err = io.ReadAll(out.Body)
		return err
	})
	if sdkerr.Code(err) == "NoSuchKey" {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// errTaken says that a name does not hold what was expected. Where an answer was lost, it may hold what was to be put.
var errTaken = errors.New("the object is not what it was")

// put replaces the object that has an ETag, or creates the first one where that is empty. Otherwise it returns errTaken.
func (b *bucket) put(ctx context.Context, name string, body []byte, etag string) error {
	err := b.do(ctx, func(c calls) error {
		in := &awss3.PutObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name), Body: bytes.NewReader(body)}
		if etag == "" {
			in.IfNoneMatch = aws.String("*")
		} else {
			in.IfMatch = &etag
		}
		_, err := c.put(ctx, in)
		return err
	})
	if sdkerr.Code(err) == "PreconditionFailed" {
		return errTaken
	}
	return err
}

// listed is a name in a listing.
type listed struct {
	name string
	etag string
	size int64
}

// list calls f for each object below a prefix, in the order of names; most is how many are wanted, at most a page, or zero for all.
func (b *bucket) list(ctx context.Context, prefix string, most int32, f func(listed)) error {
	in := &awss3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String(b.prefix + prefix)}
	if size := cmp.Or(most, b.page); size > 0 {
		in.MaxKeys = &size
	}
	for {
		var out *awss3.ListObjectsV2Output
		err := b.do(ctx, func(c calls) (err error) {
			out, err = c.list(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		for _, o := range out.Contents {
			f(listed{aws.ToString(o.Key)[len(b.prefix):], aws.ToString(o.ETag), aws.ToInt64(o.Size)})
		}
		if most > 0 || !aws.ToBool(out.IsTruncated) {
			return nil
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}
