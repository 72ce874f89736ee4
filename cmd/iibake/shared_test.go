package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
	"github.com/iibake/iibake/bake/disk"
)

// TestDiskElsewhere has each stage miss a disk, as it wraps what the store says.
func TestDiskElsewhere(t *testing.T) {
	t.Parallel()
	store, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	_, missing := store.Manifest(t.Context(), bake.DigestOf([]byte("elsewhere")))
	for _, err := range []error{
		missing, inStage(errBake, bake.RedactError(fmt.Errorf("web.yaml:3:1: source: %w", missing), []string{"hunter22"})), inStage(errTest, fmt.Errorf("boot: %w", missing)),
	} {
		if got := hints(err); len(got) != 1 || got[0] != elsewhereHint {
			t.Errorf("%v: hints %q", err, got)
		}
	}
}

// TestNoBucketIsNotNothing: views take what is not found for something that was never there; a bucket that is not there is not that.
func TestNoBucketIsNotNothing(t *testing.T) {
	t.Parallel()
	raw, err := s3.New(aws.Config{}, "s3://bucket")
	if err != nil {
		t.Fatal(err)
	}
	b := &bucketCatalog{raw: raw}
	for cause, code := range map[error]int{s3.ErrBucket: exitError, s3.ErrDenied: exitRefused, s3.ErrCredentials: exitError, s3.ErrNetwork: exitError} {
		err := b.explain(fmt.Errorf("get key: %w", cause))
		if errors.Is(err, bake.ErrNotFound) || errors.Is(err, catalog.ErrNotFound) || errors.Is(err, bake.ErrRefused) || len(hints(err)) != 1 {
			t.Errorf("%v: hints %q", err, hints(err))
		}
		if got := exitCode(t.Context(), err); got != code {
			t.Errorf("%v: exit code %d, want %d", err, got, code)
		}
	}
	if err := b.explain(catalog.ErrMoved); len(hints(err)) > 0 {
		t.Errorf("hints %q", hints(err))
	}
}

// TestProjectNear finds the folder for what belongs to this machine, with a project and without.
func TestProjectNear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if p := projectNear(dir); p.WorkDir() != filepath.Join(dir, ".iibake") || p.StoreDir() != filepath.Join(dir, ".iibake", "store") {
		t.Errorf("%s, %s", p.WorkDir(), p.StoreDir())
	}
}

// sharedCommands are those of the stories of catalogs in a bucket.
func sharedCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"cloudenv": cloudEnv, "bucket": makeBucket, "tamper": tamper}
}

// cloudEnv sets what iibake local env prints, as eval does in a shell: cloudenv [ARGUMENTS...]
func cloudEnv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("iibake", append([]string{"local", "env", "-o", "json"}, args...)...))
	var env map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		ts.Setenv(name, env[name])
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN"} {
		ts.Setenv(name, "")
	}
	ts.Setenv("AWS_CONFIG_FILE", "/dev/null")
	ts.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
}

// configOf is the configuration of the story's environment.
func configOf(ts *testscript.TestScript) aws.Config {
	return aws.Config{
		Region: ts.Getenv("AWS_REGION"), BaseEndpoint: aws.String(ts.Getenv("AWS_ENDPOINT_URL")),
		Credentials: credentials.NewStaticCredentialsProvider(ts.Getenv("AWS_ACCESS_KEY_ID"), "x", ""),
	}
}

func clientOf(ts *testscript.TestScript) *awss3.Client {
	return awss3.NewFromConfig(configOf(ts), func(o *awss3.Options) { o.UsePathStyle = true })
}

// makeBucket makes a bucket in the cloud of the environment: bucket NAME
func makeBucket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: bucket NAME")
	}
	_, err := clientOf(ts).CreateBucket(context.Background(), &awss3.CreateBucketInput{
		Bucket: &args[0], CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(ts.Getenv("AWS_REGION"))},
	})
	ts.Check(err)
}

// tamper replaces an object of a bucket: tamper BUCKET KEY BODY
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: tamper BUCKET KEY BODY")
	}
	_, err := clientOf(ts).PutObject(context.Background(), &awss3.PutObjectInput{Bucket: &args[0], Key: &args[1], Body: strings.NewReader(args[2])})
	ts.Check(err)
}

// catalogAt opens the catalog in a folder or a bucket, and returns the folder that the store of blocks is in.
func catalogAt(ts *testscript.TestScript, where string) (catalog.Catalog, string) {
	if isAddress(where) {
		c, err := s3.New(configOf(ts), where)
		ts.Check(err)
		return c, ts.MkAbs(".iibake")
	}
	c, err := catalog.OpenDir(ts.MkAbs(where))
	ts.Check(err)
	return c, ts.MkAbs(where)
}
