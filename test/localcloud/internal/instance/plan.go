package instance

import (
	"encoding/base64"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/instancetype"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// plan is a launch that was found to be possible.
type plan struct {
	network         *network.Service
	account, caller string
	in              *ec2.RunInstancesInput // with what its template adds
	image           *state.Image
	kind            *instancetype.Type
	key             *state.KeyPair // may be nil
	tags            map[ec2types.ResourceType][]ec2types.Tag
	group           string // of Auto Scaling
	lifecycle       ec2types.InstanceLifecycleType
	profile         *ec2types.IamInstanceProfile
	cpus            *ec2types.CpuOptions
	metadata        *ec2types.InstanceMetadataOptionsResponse
	credits         string
	disks           []disk

	zone        network.Zone
	subnet      *state.Subnet
	groups      []ec2types.GroupIdentifier
	placement   *ec2types.Placement
	public      bool
	address     string // that was asked for; may be empty
	description string // of the network interface

	reservation string
}

// plan checks a launch, in the order of EC2 as far as it is known: template, version and image first.
func (s *Service) plan(r *state.Region, account string, in *ec2.RunInstancesInput) (*plan, error) {
	filled, err := s.templates.Fill(r, account, in)
	if err != nil {
		return nil, err
	}
	p := &plan{network: s.network, account: account, in: filled}
	steps := []func(r *state.Region) error{
		p.findImage, p.checkCounts, s.findType(p), p.checkImage, p.checkUserData, p.refuse, p.findKey, p.findNetwork, p.planMetadata, p.planDisks,
	}
	for _, step := range steps {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	p.findSubnetZone()
	p.planTags()
	p.planProfile(r)
	return p, nil
}

func (p *plan) checkCounts(*state.Region) error {
	least, most := aws.ToInt32(p.in.MinCount), aws.ToInt32(p.in.MaxCount)
	switch {
	case least < 1:
		return wire.Errorf("InvalidParameterValue", "Value (%d) for parameter minCount is invalid. Expected a positive number.", least)
	case most < least:
		return wire.Errorf("InvalidParameterValue", "Value (%d) for parameter maxCount is invalid. maxCount must be equal to or greater than minCount.", most)
	}
	return nil
}

// findType looks the instance type up.
func (s *Service) findType(p *plan) func(*state.Region) error {
	return func(*state.Region) error {
		name := string(p.in.InstanceType)
		if name == "" {
			name = instancetype.Default
		}
		if p.kind = s.types.Get(name); p.kind == nil {
			return wire.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", name)
		}
		return p.planCPUs()
	}
}

func (p *plan) planCPUs() error {
	cores := int32(p.kind.CPUs / p.kind.ThreadsPerCPU) //nolint:gosec // a few
	threads := int32(p.kind.ThreadsPerCPU)             //nolint:gosec // 1 or 2
	if o := p.in.CpuOptions; o != nil {
		wantCores, wantThreads := aws.ToInt32(o.CoreCount), aws.ToInt32(o.ThreadsPerCore)
		if o.AmdSevSnp == ec2types.AmdSevSnpSpecificationEnabled || wantCores < 0 || wantCores > cores || wantThreads < 0 || wantThreads > threads {
			return wire.Errorf("InvalidParameterCombination", "The CPU options are not supported for the instance type '%s'.", p.kind.Name)
		}
		if wantCores > 0 {
			cores = wantCores
		}
		if wantThreads > 0 {
			threads = wantThreads
		}
	}
	p.cpus = &ec2types.CpuOptions{CoreCount: &cores, ThreadsPerCore: &threads}
	return nil
}

const maxUserData = 16384 // bytes, before base64 [documented]

func (p *plan) checkUserData(*state.Region) error {
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(p.in.UserData))
	switch {
	case err != nil:
		return wire.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	case len(raw) > maxUserData:
		return wire.Errorf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	return nil
}

// findKey looks the key pair up.
func (p *plan) findKey(r *state.Region) error {
	name := aws.ToString(p.in.KeyName)
	if name == "" {
		return nil
	}
	if p.key = r.KeyPairs.Get(state.Key(p.account, name)); p.key == nil {
		return wire.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
	}
	return nil
}

func (p *plan) keyName() *string {
	if p.key == nil {
		return nil
	}
	return p.key.KeyName
}

// planTags sorts the tags by what they are for.
func (p *plan) planTags() {
	p.tags = map[ec2types.ResourceType][]ec2types.Tag{}
	for _, spec := range p.in.TagSpecifications {
		p.tags[spec.ResourceType] = kit.MergeTags(p.tags[spec.ResourceType], spec.Tags)
	}
	i := slices.IndexFunc(p.tags[ec2types.ResourceTypeInstance], func(t ec2types.Tag) bool { return aws.ToString(t.Key) == groupTag })
	if i >= 0 {
		p.group = aws.ToString(p.tags[ec2types.ResourceTypeInstance][i].Value)
	}
}

// planProfile keeps the instance profile as it was asked for: there is no IAM to look it up in.
func (p *plan) planProfile(*state.Region) {
	profile := p.in.IamInstanceProfile
	if profile == nil || aws.ToString(profile.Arn) == "" && aws.ToString(profile.Name) == "" {
		return
	}
	arn := aws.ToString(profile.Arn)
	if arn == "" {
		arn = "arn:aws:iam::" + p.account + ":instance-profile/" + *profile.Name
	}
	p.profile = &ec2types.IamInstanceProfile{Arn: &arn, Id: aws.String("AIPA" + profileID(arn))}
}

func (p *plan) reserved() ec2types.CapacityReservationPreference {
	if c := p.in.CapacityReservationSpecification; c != nil && c.CapacityReservationPreference != "" {
		return c.CapacityReservationPreference
	}
	return ec2types.CapacityReservationPreferenceOpen
}

func (p *plan) maintenance() *ec2types.InstanceMaintenanceOptions {
	o := &ec2types.InstanceMaintenanceOptions{
		AutoRecovery: ec2types.InstanceAutoRecoveryStateDefault, RebootMigration: ec2types.InstanceRebootMigrationStateDefault,
	}
	if p.in.MaintenanceOptions != nil && p.in.MaintenanceOptions.AutoRecovery != "" {
		o.AutoRecovery = p.in.MaintenanceOptions.AutoRecovery
	}
	return o
}

func (p *plan) monitoring() *ec2types.Monitoring {
	if p.in.Monitoring != nil && aws.ToBool(p.in.Monitoring.Enabled) {
		return &ec2types.Monitoring{State: ec2types.MonitoringStatePending}
	}
	return &ec2types.Monitoring{State: ec2types.MonitoringStateDisabled}
}

func (p *plan) names() *ec2types.PrivateDnsNameOptionsResponse {
	o := &ec2types.PrivateDnsNameOptionsResponse{
		HostnameType: ec2types.HostnameTypeIpName, EnableResourceNameDnsARecord: aws.Bool(false), EnableResourceNameDnsAAAARecord: aws.Bool(false),
	}
	if given := p.in.PrivateDnsNameOptions; given != nil {
		o.EnableResourceNameDnsARecord = aws.Bool(aws.ToBool(given.EnableResourceNameDnsARecord))
	}
	return o
}
