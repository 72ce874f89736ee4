package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
	"github.com/iibake/iibake/test/localcloud"
)

const (
	region  = "eu-west-1"
	account = "111122223333"
	name    = "bucket"
	address = "s3://bucket/some/prefix"
)

// world is a cloud with a bucket.
type world struct {
	*testing.T
	cloud *localcloud.Cloud
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cloud, err := localcloud.New(localcloud.Config{Simulate: true, Seed: 1})
	must(t, err)
	t.Cleanup(func() { must(t, cloud.Close()) })
	w := &world{t, cloud}
	_, err = w.client().CreateBucket(t.Context(), &awss3.CreateBucketInput{
		Bucket: aws.String(name), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region},
	})
	must(t, err)
	return w
}

// config is that of a process whose requests go through a transport; nil is the way as it is.
func (w *world) config(through http.RoundTripper) aws.Config {
	if through == nil {
		through = w.cloud.Client().Transport
	}
	return aws.Config{
		Region: region, BaseEndpoint: aws.String("http://localhost"), HTTPClient: &http.Client{Transport: through},
		Credentials: credentials.NewStaticCredentialsProvider(account, "secret", ""),
		Retryer: func() aws.Retryer {
			return s3.Retryer(retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil }))
		},
	}
}

func (w *world) client() *awss3.Client {
	return awss3.NewFromConfig(w.config(nil), func(o *awss3.Options) { o.UsePathStyle = true })
}

func (w *world) open(through http.RoundTripper) *s3.Catalog {
	w.Helper()
	c, err := s3.New(w.config(through), address)
	must(w, err)
	return c
}

// objects returns all objects of the bucket, by name.
func (w *world) objects() map[string]string {
	w.Helper()
	all := map[string]string{}
	pages := awss3.NewListObjectsV2Paginator(w.client(), &awss3.ListObjectsV2Input{Bucket: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.Context())
		must(w, err)
		for _, o := range page.Contents {
			out, err := w.client().GetObject(w.Context(), &awss3.GetObjectInput{Bucket: aws.String(name), Key: o.Key})
			must(w, err)
			body, err := io.ReadAll(out.Body)
			must(w, errors.Join(err, out.Body.Close()))
			all[*o.Key] = string(body)
		}
	}
	return all
}

func (w *world) write(key, body string) {
	w.Helper()
	_, err := w.client().PutObject(w.Context(), &awss3.PutObjectInput{Bucket: aws.String(name), Key: &key, Body: strings.NewReader(body)})
	must(w, err)
}

func (w *world) remove(key string) {
	w.Helper()
	_, err := w.client().DeleteObject(w.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(name), Key: &key})
	must(w, err)
}

// line is the way to the cloud. It counts requests, and what it is told happens to them.
type line struct {
	to   http.RoundTripper
	fate func(n int, r *http.Request) fate

	mu    sync.Mutex
	calls []string // method and path
}

// fate is what happens to a request.
type fate int

const (
	arrives fate = iota
	fails        // before it gets there
	lost         // the answer
	refused      // with the status 503
)

var errLine = errors.New("the line is dead")

func (w *world) line(fate func(n int, r *http.Request) fate) *line {
	return &line{to: w.cloud.Client().Transport, fate: fate}
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.calls = append(l.calls, r.Method+" "+r.URL.Path)
	n := len(l.calls)
	l.mu.Unlock()
	what := arrives
	if l.fate != nil {
		what = l.fate(n, r)
	}
	switch what {
	case fails:
		return nil, errLine
	case refused:
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
	case arrives, lost:
	}
	out, err := l.to.RoundTrip(r)
	if err == nil && what == lost {
		_, _ = io.Copy(io.Discard, out.Body)
		_ = out.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return out, err
}

func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantText(tb testing.TB, err error, want string) {
	tb.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		tb.Errorf("got error %v, want one with %q", err, want)
	}
}

// wantProblems wants exactly these, each beginning with the given text.
func wantProblems(tb testing.TB, c catalog.Catalog, want ...string) {
	tb.Helper()
	got, err := c.Verify(tb.Context())
	must(tb, err)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			tb.Errorf("unexpected problem: %s", got[i])
		case i >= len(got):
			tb.Errorf("not found: %s", want[i])
		case !strings.HasPrefix(got[i].String(), want[i]):
			tb.Errorf("got problem %q, want %q", got[i], want[i])
		}
	}
}
