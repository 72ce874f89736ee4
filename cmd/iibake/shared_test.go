package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
)

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
