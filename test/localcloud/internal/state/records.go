package state

import (
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
)

// Image is an AMI. A deregistered one stays as a record, for it answers differently from one that never was.
type Image struct {
	ec2types.Image
	Permissions    []ec2types.LaunchPermission
	Deregistered   bool
	UefiData       string    // base64; may be empty
	Cooldown       bool      // deregistration protection goes on for a day after it is disabled
	ProtectedUntil time.Time // end of that day
}

// Snapshot is an EBS snapshot.
type Snapshot struct {
	ec2types.Snapshot
	Disk        bake.Digest // manifest of a volume made of it, once it is complete
	Written     bake.Digest // manifest of the blocks that it has: Disk, but for the garbage that an encrypted volume has where there are none
	Parent      string      // of EBS direct; may be empty
	Lineage     string      // what it has in common with those that it can be compared with by EBS direct
	Permissions []ec2types.CreateVolumePermission
	ReadableAt  time.Time // from when on EBS direct knows it
	Direct      *Direct   // of one that EBS direct made; nil otherwise
	Source      *Source   // of a copy that is not there yet; nil otherwise
	Deleted     bool      // its blocks are being given up; it counts as gone
}

// Direct is what EBS direct was told of a snapshot.
type Direct struct {
	Base       bake.Digest   // manifest of the parent; may be empty
	Timeout    time.Duration // how long it may be open without anybody writing to it
	WritableAt time.Time     // from when on blocks are taken
	Completion *Completion   // nil while it is open
}

// Completion is what CompleteSnapshot was told.
type Completion struct {
	At       time.Time
	Count    int32
	Checksum string // base64; may be empty
}

// Source is what a snapshot is a copy of, as it was when the copy was asked for.
type Source struct {
	Disk      bake.Digest
	Encrypted bool   // the source was
	Size      int32  // GiB
	KeyID     string // KMS key of the copy; empty for one that is not encrypted
	Problem   string // why it will fail; empty otherwise
	Ready     time.Time
}

// Settings are those of an account in a region.
type Settings struct {
	EncryptVolumes bool   // new volumes and snapshots, where nobody says otherwise
	VolumeKey      string // KMS key for them; empty for AWS's own
}

// LaunchTemplate is a launch template with its versions.
type LaunchTemplate struct {
	ec2types.LaunchTemplate
	Account  string
	Versions []ec2types.LaunchTemplateVersion // ascending
	Counter  int64                            // the highest version number ever given
}

// Instance is an EC2 instance. It stays for an hour after its end, as in EC2.
type Instance struct {
	ec2types.Instance
	Account     string
	UserData    string // base64, as given
	Status      ec2types.SummaryStatus
	Protection  bool      // against termination by the API
	Group       string    // name of the Auto Scaling group that launched it; may be empty
	Terminated  time.Time // when it was; zero before
	Reservation string    // reservation id
	// Address is the private address that it holds in its subnet; where it answers stands in PrivateIpAddress.
	Address string
	// PublicAddress says that it gets a public address whenever it starts.
	PublicAddress  bool
	StopProtection bool // against stopping by the API
	Shutdown       ec2types.ShutdownBehavior
	NewRoot        string         // image whose disk it gets for its root disk, as soon as it is stopped, to run on at once; or empty
	Starts         int            // how often it was told to start; the first is its launch
	Impaired       time.Time      // since when its status checks fail; zero where they do not
	Credits        string         // standard or unlimited of a burstable type, otherwise empty
	Requester      string         // account of the service that launched it for its owner; mostly empty
	CardTags       []ec2types.Tag // of its network interface
}

// Volume is an EBS volume of an instance.
type Volume struct {
	ec2types.Volume
	Account string
}

// KeyPair is the public half of an SSH key.
type KeyPair struct {
	ec2types.KeyPairInfo
	Account   string
	PublicKey string `json:"AuthorizedKey"` // as in authorized_keys; on disk under a name of its own beside that of KeyPairInfo
}

// SecurityGroup is a security group with its rules.
type SecurityGroup struct {
	ec2types.SecurityGroup
	Rules []ec2types.SecurityGroupRule
}

// VPC is a virtual private cloud.
type VPC struct{ ec2types.Vpc }

// Subnet is a subnet of a VPC.
type Subnet struct{ ec2types.Subnet }

// Group is an Auto Scaling group. Its own list of instances stays empty: the Members are what it has.
type Group struct {
	astypes.AutoScalingGroup
	Account    string
	Hooks      []astypes.LifecycleHook
	Activities []astypes.Activity // newest last; the oldest are dropped
	Members    []Member           // oldest first

	RefreshIDs    []string             // of all its refreshes that are on record, newest last
	ActiveRefresh string               // id of the refresh that is not at its end; or empty
	Cause         string               // sentence that says why the desired capacity was changed last, until the group has reached it
	ActsAt        time.Time            // when a difference from the desired capacity is acted upon; zero where there is none
	CooledAt      time.Time            // when the cooldown after the last scaling activity ends
	LaunchFailure string               // why the last launch failed; empty once one worked
	Failures      int                  // launches that failed in a row
	RetryAt       time.Time            // before, nothing is launched
	BadZones      map[string]time.Time // zones in which a launch failed, and when
	DeletedAt     time.Time            // when its deletion was asked for; zero before
	EmptyAt       time.Time            // when a group that is deleted lost its last instance
}

// Member is an instance of an Auto Scaling group.
type Member struct {
	astypes.Instance
	Subnet    string
	Launched  time.Time
	InService time.Time // since when, last
	DueAt     time.Time // when the next change of its lifecycle is due; zero where something else is waited for
	Activity  string    // id of the activity that is under way, or empty
	Actions   []LifecycleAction
	EndingAt  time.Time // when its termination began; zero before
	Ended     bool      // EC2 was told to terminate it
	Unhealthy string    // what found it unhealthy, as activities put it; empty where nothing has
	Standby   bool      // goes from EnteringStandby to Standby, or is there
	Detach    bool      // leaves the group alive
}

// LifecycleAction is a lifecycle hook that an instance waits for.
type LifecycleAction struct {
	Hook, Token string
	Until       time.Time // when the heartbeat ends
	Limit       time.Time // no heartbeat goes further
	Result      string    // CONTINUE, ABANDON; empty while it is open
}

// Refresh is an instance refresh. What it embeds is as the last look at it left it.
type Refresh struct {
	astypes.InstanceRefresh
	Account  string
	GroupARN string
	Asked    time.Time        // when it was started
	Progress refresh.Progress // decides
	// What the group was before, for a rollback.
	BeforeTemplate *astypes.LaunchTemplateSpecification
	BeforePolicy   *astypes.MixedInstancesPolicy
}

// TargetGroup is an ELB target group with its targets.
type TargetGroup struct {
	elbtypes.TargetGroup
	Account    string
	Targets    map[string]Target // by id:port
	Attributes map[string]string
	Tags       []elbtypes.Tag
}

// Target is a target of a target group.
type Target struct {
	Target     elbtypes.TargetDescription
	Health     elbtypes.TargetHealth
	DrainUntil time.Time // when a deregistered one is gone; zero before
}

// LoadBalancer is an application or network load balancer.
type LoadBalancer struct {
	elbtypes.LoadBalancer
	Account    string
	Listeners  []Listener // in the order of their making
	Attributes map[string]string
	Tags       []elbtypes.Tag
}

// Listener is a listener of a load balancer with its rules, but for the default one.
type Listener struct {
	elbtypes.Listener
	Rules []Rule
	Tags  []elbtypes.Tag
}

// Rule is a rule of a listener.
type Rule struct {
	elbtypes.Rule
	Tags []elbtypes.Tag
}

// Parameter is an SSM parameter with its history.
type Parameter struct {
	Account  string
	Name     string
	Versions []ParameterVersion // ascending; never empty
	Counter  int64              // the highest version number ever given
	Tags     map[string]string
}

// ParameterDraft is a version of an SSM parameter that is not yet validated, and that nobody sees before.
type ParameterDraft struct {
	Account, Name string
	Version       ParameterVersion
	Tags          map[string]string // where it makes the parameter
}

// ParameterVersion is one value that an SSM parameter had.
type ParameterVersion struct {
	Version     int64
	Type        string // String, StringList, SecureString
	DataType    string // text, aws:ec2:image
	Tier        string // Standard, Advanced
	KeyID       string // of a SecureString
	Pattern     string // AllowedPattern
	Value       string
	Description string
	Labels      []string
	Modified    time.Time
	By          string    // ARN
	Valid       time.Time // since when it is seen: values of aws:ec2:image are validated late
}

// Alarm is a CloudWatch alarm.
type Alarm struct {
	cwtypes.MetricAlarm
	Account string
	Tags    []cwtypes.Tag
	History []cwtypes.AlarmHistoryItem // oldest first; the oldest are dropped
}

// Metric is the data of a CloudWatch metric that somebody put.
type Metric struct {
	Account, Namespace, Name string
	Dimensions               []cwtypes.Dimension
	Points                   []MetricPoint // ascending; the oldest are dropped
}

// MetricPoint is what was put of a metric in one minute, or in one second where it has that resolution.
type MetricPoint struct {
	Time               time.Time // start
	Unit               string
	Sum, Min, Max, Num float64
}

// Token is the answer that the first request with a client token got.
type Token struct {
	Request string // digest of its input without the token
	Answer  string // what it made, or its whole answer as JSON: as the operation needs it
	Made    time.Time
}

// TokenKey is the key of a client token.
func TokenKey(account, operation, token string) string {
	return account + "/" + operation + "/" + token
}
