package target

import (
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Of one attempt, from the connection to the last byte of the answer. A block's is short: an upload from afar has stalled for minutes
// where nothing gave up on single blocks.
const (
	commonTimeout = 40 * time.Second
	blockTimeout  = 20 * time.Second
)

// Target is a region of an account. Clients are made as they are asked for, which costs little: a field of their types would keep all of their
// methods in the binary, for whatever has a target is converted to an interface somewhere; see [Pages]. Its clients may be used by many at once; they retry what can be retried, keep below the account's limits
// and explain their errors.
type Target struct {
	Name     string // as in iibake.yaml
	Account  string // twelve digits
	Region   string
	Endpoint string // URL; empty for AWS, or what the environment says of it

	set  *Set
	spec Spec
	id   *identity

	credentials *aws.CredentialsCache

	common, blocks aws.Config // what clients are made of, those of EBS direct apart

	groups *groups

	mu    sync.Mutex
	other map[string]*Target // by region
}

// EC2 returns the client of EC2.
func EC2(t *Target) *ec2.Client { return ec2.NewFromConfig(t.common) }

// EBS returns the client of EBS direct.
func EBS(t *Target) *ebs.Client { return ebs.NewFromConfig(t.blocks) }

// AutoScaling returns the client of EC2 Auto Scaling.
func AutoScaling(t *Target) *autoscaling.Client { return autoscaling.NewFromConfig(t.common) }

// SSM returns the client of Systems Manager.
func SSM(t *Target) *ssm.Client { return ssm.NewFromConfig(t.common) }

// CloudWatch returns the client of CloudWatch.
func CloudWatch(t *Target) *cloudwatch.Client { return cloudwatch.NewFromConfig(t.common) }

// STS returns the client of the Security Token Service.
func STS(t *Target) *sts.Client { return sts.NewFromConfig(t.common) }

// Now returns what the clock shows that calls are counted by.
func (t *Target) Now() time.Time { return t.set.options.Now().UTC() }

// In returns the same account in another region, with the same credentials.
func (t *Target) In(region string) *Target {
	if region == t.Region {
		return t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.other[region] == nil {
		t.other[region] = newTarget(t.set, t.spec, t.id, region)
	}
	return t.other[region]
}

func newTarget(s *Set, spec Spec, id *identity, region string) *Target {
	t := &Target{
		Name: spec.Name, Account: id.account, Region: region, Endpoint: spec.Endpoint,
		set: s, spec: spec, id: id, credentials: id.credentials, other: map[string]*Target{},
	}
	t.common, t.blocks = t.config(commonTimeout), t.config(blockTimeout)
	t.groups = &groups{call: AutoScaling(t).DescribeAutoScalingGroups}
	return t
}

// config returns what clients are made with.
func (t *Target) config(timeout time.Duration) aws.Config {
	c := aws.Config{
		Region: t.Region, HTTPClient: t.client(timeout), Credentials: t.credentials, BaseEndpoint: t.id.endpoint, ConfigSources: t.id.sources,
		Retryer: func() aws.Retryer { return newRetryer(t) },
	}
	if t.Endpoint != "" {
		c.BaseEndpoint = aws.String(t.Endpoint)
	}
	c.APIOptions = append(c.APIOptions, t.watch)
	return c
}

// client returns what sends requests. An attempt that takes longer than the timeout has failed, and is tried again.
func (t *Target) client(timeout time.Duration) aws.HTTPClient {
	if transport := t.set.options.Transport; transport != nil {
		return &http.Client{Transport: transport, Timeout: timeout}
	}
	return t.id.http.WithTimeout(timeout)
}

func newHTTP() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = maxConnections // the default of 10 would reconnect under 64 uploads
		t.WriteBufferSize = writeBuffer
	})
}

// writeBuffer is what a connection writes at once, in bytes: with the default of 4 KiB, uploads took a tenth more of the processor.
const writeBuffer = 64 << 10

// maxConnections is how many connections to one host are kept.
const maxConnections = 128
