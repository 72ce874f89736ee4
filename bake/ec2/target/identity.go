package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/iibake/iibake/bake/internal/sdkerr"
)

// sessionName stands in the trails of accounts whose role is assumed.
const sessionName = "iibake"

// fallbackRegion answers who somebody is where no region is known yet.
const fallbackRegion = "us-east-1"

// proveTime is how long it may take to find out whose credentials there are. Somebody waits for it, and nothing has begun.
const proveTime = 30 * time.Second

// identity is who calls: credentials, and the account that they are of.
type identity struct {
	mu          sync.Mutex // held while the credentials are proven
	proven      bool
	account     string
	region      string // of the environment; empty where it has none
	credentials *aws.CredentialsCache
	http        *awshttp.BuildableClient

	// What the environment says of endpoints, where the target says nothing: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_EC2, AWS_USE_FIPS_ENDPOINT and so on.
	endpoint *string
	sources  []any
}

// prove finds the credentials and asks whose they are, once.
func (id *identity) prove(ctx context.Context, s *Set, spec Spec) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	if id.proven {
		return nil
	}
	provider, region, err := id.source(ctx, s, spec)
	if err != nil {
		return err
	}
	id.region = region
	at := cmp.Or(spec.Region, region, fallbackRegion)
	id.credentials = aws.NewCredentialsCache(provider)
	if spec.RoleARN != "" {
		assume := stscreds.NewAssumeRoleProvider(STS(newTarget(s, spec, id, at)), spec.RoleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = sessionName
		})
		id.credentials = aws.NewCredentialsCache(assume)
	}
	within, cancel := context.WithTimeout(ctx, proveTime)
	defer cancel()
	who, err := STS(newTarget(s, spec, id, at)).GetCallerIdentity(within, &sts.GetCallerIdentityInput{})
	switch {
	case err != nil && within.Err() != nil && ctx.Err() == nil:
		return because(err, ErrNetwork, "no answer within "+proveTime.String(), short(sdkerr.Innermost(err)))
	case err != nil:
		return err
	}
	id.account = aws.ToString(who.Account)
	if want := accountOf(spec.RoleARN); want != "" && want != id.account {
		return fmt.Errorf("%w: %s, where the role is %s", errAccount, id.account, spec.RoleARN)
	}
	id.proven = true
	return nil
}

// source returns the credentials to begin with, and the region of the environment. A cloud on this machine has an access key and no more;
// whoever has another endpoint still signs as the environment says.
func (id *identity) source(ctx context.Context, s *Set, spec Spec) (aws.CredentialsProvider, string, error) {
	if spec.AccessKey != "" {
		return credentials.NewStaticCredentialsProvider(spec.AccessKey, "local", ""), "", nil
	}
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // what matters comes back as an error
	if s.options.Transport == nil {
		load = append(load, config.WithHTTPClient(id.http)) // which then trusts AWS_CA_BUNDLE
	}
	if spec.Region != "" {
		load = append(load, config.WithRegion(spec.Region))
	}
	c, err := config.LoadDefaultConfig(ctx, load...)
	if _, unknown := errors.AsType[config.SharedConfigProfileNotExistError](err); unknown {
		return nil, "", because(err, ErrCredentials, "set AWS_PROFILE to one that there is", short(err.Error()))
	}
	if err != nil {
		return nil, "", Explain(ctx, err)
	}
	if trusting, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		id.http = trusting
	}
	if spec.Endpoint == "" {
		id.endpoint, id.sources = c.BaseEndpoint, c.ConfigSources
	}
	return c.Credentials, c.Region, nil
}

// accountOf returns the account that a role is of: arn:aws:iam::111122223333:role/name.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}
