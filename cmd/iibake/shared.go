package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote/asg/iam"
)

// isAddress reports whether a catalog is not in a folder.
func isAddress(catalog string) bool {
	return strings.Contains(catalog, "://") || regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`).MatchString(catalog) // s3:/bucket is no folder
}

// openShared opens a catalog in a bucket. What belongs to this machine stays in the project's folder, or below the current one where there is no
// project. Nobody is asked yet.
func openShared(c *cli.Context, address string, p *template.Project) (*record, error) {
	shared, err := s3.Open(c.Context, address)
	if errors.Is(err, s3.ErrAddress) {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if err != nil {
		return nil, err
	}
	if p == nil || p.Dir == "" {
		p = projectNear(c.String("dir"))
	}
	b := &bucketCatalog{Catalog: shared, raw: shared}
	r := newRecord(b, p.WorkDir(), p.StoreDir())
	r.shared = b
	if readsOnly(c) {
		return r.now(), nil
	}
	return r, nil
}

// projectNear returns the settings of the project around a folder, or those of one that has none.
func projectNear(folder string) *template.Project {
	if p, err := loadSettings(folder); err == nil {
		return p
	}
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	return &template.Project{Dir: folder, Catalog: ".iibake", Store: ".iibake/store"}
}

// readsOnly reports whether a command only looks at many records, once: for it they are read in few calls.
func readsOnly(c *cli.Context) bool {
	completes := len(os.Args) > 0 && os.Args[len(os.Args)-1] == "--generate-bash-completion"
	return completes || c.Command != nil && slices.Contains([]string{"images", "show", "channels", "history", "status"}, c.Command.Name)
}

// now returns the record as it is now, for somebody who looks at much of it: of a catalog in a bucket, that takes few calls.
func (r *record) now() *record {
	if r.shared == nil {
		return r
	}
	b := &bucketCatalog{Catalog: r.shared.raw.Snapshot(recordCache()), raw: r.shared.raw}
	snapshot := newRecord(b, r.dir, r.storeDir)
	snapshot.shared = b
	return snapshot
}

// recordCache is the folder that keeps what was read from buckets, or nothing where this user has no such folder. It lies outside of projects: looking at a
// catalog must not change a work tree, and what root has written there others could not use.
func recordCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "iibake", "catalog")
}

// catalogStatements returns what verbs need of a catalog in a bucket, in a policy.
func catalogStatements(c *cli.Context, verbs []iam.Verb) ([]iam.Statement, error) {
	address := c.String("catalog")
	if address == "" {
		address = projectNear(c.String("dir")).CatalogAddress()
	}
	if !isAddress(address) {
		return nil, nil
	}
	shared, err := s3.New(aws.Config{}, address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	bucket, objects := shared.ARNs()
	actions := []string{"s3:GetObject"}
	if !slices.Equal(verbs, []iam.Verb{iam.Status}) {
		actions = append(actions, "s3:PutObject")
	}
	return []iam.Statement{
		{Sid: "Catalog1", Effect: "Allow", Action: actions, Resource: []string{objects}},
		{Sid: "Catalog2", Effect: "Allow", Action: []string{"s3:ListBucket"}, Resource: []string{bucket}},
	}, nil
}

// bucketCatalog is a catalog in a bucket whose errors say what to do.
type bucketCatalog struct {
	catalog.Catalog

	raw *s3.Catalog
}

// Put implements [catalog.Catalog].
func (b *bucketCatalog) Put(ctx context.Context, key string, body []byte) error {
	return b.explain(b.Catalog.Put(ctx, key, body))
}

// Get implements [catalog.Catalog].
func (b *bucketCatalog) Get(ctx context.Context, key string) ([]byte, error) {
	body, err := b.Catalog.Get(ctx, key)
	return body, b.explain(err)
}

// List implements [catalog.Catalog].
func (b *bucketCatalog) List(ctx context.Context, prefix string) ([]string, error) {
	keys, err := b.Catalog.List(ctx, prefix)
	return keys, b.explain(err)
}

// Swap implements [catalog.Catalog].
func (b *bucketCatalog) Swap(ctx context.Context, head string, old, next []byte) error {
	return b.explain(b.Catalog.Swap(ctx, head, old, next))
}

// Verify implements [catalog.Catalog].
func (b *bucketCatalog) Verify(ctx context.Context) ([]catalog.Problem, error) {
	problems, err := b.Catalog.Verify(ctx)
	return problems, b.explain(err)
}

func (b *bucketCatalog) explain(err error) error {
	switch {
	case errors.Is(err, s3.ErrBucket):
		return withHint(err, "the catalog is "+b.raw.String()+", by catalog in iibake.yaml, --catalog or IIBAKE_CATALOG"+endpointNote())
	case errors.Is(err, s3.ErrDenied):
		return withHint(err, policyHint)
	case errors.Is(err, s3.ErrCredentials):
		return withHint(err, "aws sts get-caller-identity says whose credentials there are")
	case errors.Is(err, s3.ErrNetwork):
		return withHint(err, "the catalog is "+b.raw.String()+endpointNote())
	}
	return err
}

// endpointNote says where a bucket is looked for.
func endpointNote() string {
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if url := os.Getenv(name); url != "" {
			return "; " + name + " is " + url
		}
	}
	return ""
}
