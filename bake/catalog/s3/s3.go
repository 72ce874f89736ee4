// Package s3 keeps a catalog in a bucket of Amazon S3, so that what a CI job baked and promotes can be seen, resumed and rolled back from any
// other machine.
//
// Below its prefix, a bucket holds
//
//	journal/999999999957-000000000042   an entry of the journal: its changes, their values, and the digest of the entry before
//	data/KEY                            what a record or a head holds, and the number of the entry that put it there
//
// No object is ever deleted. An entry is created only where none is (If-None-Match), and creating it makes its changes facts. Then their values are put
// in place, each on condition that what it replaces is what was there before (If-Match). Whoever creates the next entry has made sure of the values of
// the one before: a process may die anywhere, and the next one completes what it had begun. Since every object names its entry, no two have the
// same ETag, and one that comes late replaces nothing newer. A head that was removed leaves an object that says so, for the same reason. The first
// number in an entry's name counts down: S3 lists in the order of names, and so its first answer names the newest entry.
//
// A conditional write whose answer was lost and that is refused when it is tried again is looked at: whether it is there, byte for byte with a
// word of its own, tells whether it was ours.
//
// Calls: [Catalog.Get] makes one. [Catalog.List] makes one for each thousand keys. A change makes three: read, create the entry, put in place. The
// first one of a process makes six, for it finds the end of the journal and makes sure of it, and one before which another writer came makes nine.
// Changes that goroutines of one process make while one is under way share the next entry. [Catalog.Verify] reads everything. A
// [Catalog.Snapshot] reads many keys in few calls.
//
// The least that a role needs, with the bucket's name and the prefix, if there is one:
//
//	{ "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::BUCKET/PREFIX/*" }
//	{ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::BUCKET" }
//
// Who only looks needs no s3:PutObject. Without s3:ListBucket nothing works, for then S3 does not tell a missing key from a
// forbidden one; nor, for the same reason, with a condition on s3:prefix, which reading a key does not have. Versioning and
// default encryption change nothing. Object Lock is fine: an object under data/ that moves becomes a new version. A lifecycle rule must not expire
// objects, though it may expire noncurrent versions. What else speaks S3 will do, if it has conditional writes and lists in the order of names; directory
// buckets (S3 Express) do not.
//
// Every object begins with the number of the format. A release that meets one that it does not know says so, and changes nothing: before each change it
// has read the journal's end.
package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/iibake/iibake/bake/catalog"
)

// Scheme begins the address of a catalog in a bucket.
const Scheme = "s3://"

// ErrAddress is wrapped when an address is not s3://BUCKET or s3://BUCKET/PREFIX.
var ErrAddress = errors.New("invalid address of a catalog")

// Catalog is a [catalog.Catalog] in a bucket.
type Catalog struct {
	bucket *bucket

	mu      sync.Mutex
	queue   []*request // changes that are asked for
	working bool       // somebody takes them out
	end     *end       // of the journal, as far as it is known; only who works has it
}

// Open returns the catalog at an address, with the credentials, the region and the endpoint of the environment: AWS_PROFILE, AWS_REGION,
// AWS_ENDPOINT_URL and so on. Nothing is asked of anybody yet.
func Open(ctx context.Context, address string) (*Catalog, error) {
	if _, _, err := split(address); err != nil {
		return nil, err
	}
	c, err := config.LoadDefaultConfig(ctx,
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)),
		config.WithRetryer(func() aws.Retryer { return Retryer(nil) }))
	if _, unknown := errors.AsType[config.SharedConfigProfileNotExistError](err); unknown {
		err = because(err, ErrCredentials, "set AWS_PROFILE to one that there is: "+err.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("catalog %s: %w", address, err)
	}
	return New(c, address)
}

// New returns the catalog at an address, by a configuration whose retryer should be that of [Retryer].
func New(c aws.Config, address string) (*Catalog, error) {
	name, prefix, err := split(address)
	if err != nil {
		return nil, err
	}
	return &Catalog{bucket: newBucket(c, name, prefix)}, nil
}

// attemptTimeout is how long one attempt may take, from the connection to the last byte of the answer.
const attemptTimeout = 40 * time.Second

// maxPrefix is how long a prefix may be, in bytes: S3 allows 1024 for a name.
const maxPrefix = 400

// split returns the bucket of an address, and its prefix, which ends with a slash or is empty.
func split(address string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(address, Scheme)
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	switch {
	case !ok || !isBucketName(bucket):
		return "", "", fmt.Errorf("%w %q: want s3://BUCKET/PREFIX", ErrAddress, address)
	case prefix == "":
		return bucket, "", nil
	case catalog.CheckKey(prefix) != nil || len(prefix) > maxPrefix:
		return "", "", fmt.Errorf("%w %q: want a prefix of up to %d letters, digits and -._+@=/", ErrAddress, address, maxPrefix)
	}
	return bucket, prefix + "/", nil
}

func isBucketName(name string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}
	return len(name) >= 3 && len(name) <= 63 && !strings.ContainsFunc(name, odd) && strings.Trim(name, "-.") == name
}

// ARNs returns the names that policies have for the bucket and for the objects of the catalog.
func (c *Catalog) ARNs() (bucket, objects string) { return c.bucket.arns() }

// String returns the address.
func (c *Catalog) String() string {
	return strings.TrimSuffix(Scheme+c.bucket.name+"/"+c.bucket.prefix, "/")
}
