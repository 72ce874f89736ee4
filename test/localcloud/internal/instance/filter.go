package instance

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// attribute returns the values of an instance for a filter of DescribeInstances, and whether there is such a filter.
func attribute(in *state.Instance, name string) ([]string, bool) {
	for _, of := range [...]func(*state.Instance, string) ([]string, bool){tagged, identity, condition, place, kind, options, device, card} {
		if values, ok := of(in, name); ok {
			return values, true
		}
	}
	return nil, false
}

func tagged(in *state.Instance, name string) ([]string, bool) { return kit.TagFilter(in.Tags, name) }

func identity(in *state.Instance, name string) ([]string, bool) {
	switch name {
	case "instance-id":
		return listing.Values(in.InstanceId), true
	case "reservation-id":
		return []string{in.Reservation}, true
	case "owner-id":
		return []string{in.Account}, true
	case "requester-id":
		return listing.Values(requester(in)), true
	case "client-token":
		return listing.Values(in.ClientToken), true
	case "image-id":
		return listing.Values(in.ImageId), true
	case "key-name":
		return listing.Values(in.KeyName), true
	case "launch-index":
		return []string{strconv.Itoa(int(aws.ToInt32(in.AmiLaunchIndex)))}, true
	case "launch-time":
		return times(in.LaunchTime), true
	case "iam-instance-profile.arn":
		if in.IamInstanceProfile == nil {
			return nil, true
		}
		return listing.Values(in.IamInstanceProfile.Arn), true
	case "iam-instance-profile.id":
		if in.IamInstanceProfile == nil {
			return nil, true
		}
		return listing.Values(in.IamInstanceProfile.Id), true
	}
	return nil, false
}

// orNew returns p, or an empty one for nil.
func orNew[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

func times(t *time.Time) []string {
	if t == nil {
		return nil
	}
	return []string{t.UTC().Format("2006-01-02T15:04:05.000Z")}
}

func condition(in *state.Instance, name string) ([]string, bool) {
	st, why := in.State, in.StateReason
	if st == nil {
		st = &ec2types.InstanceState{}
	}
	if why == nil {
		why = &ec2types.StateReason{}
	}
	switch name {
	case "instance-state-name":
		return []string{string(st.Name)}, true
	case "instance-state-code":
		return []string{strconv.Itoa(int(aws.ToInt32(st.Code)))}, true
	case "state-reason-code":
		return listing.Values(why.Code), true
	case "state-reason-message":
		return listing.Values(why.Message), true
	case "reason":
		return listing.Values(in.StateTransitionReason), true
	case "monitoring-state":
		if in.Monitoring == nil {
			return nil, true
		}
		return []string{string(in.Monitoring.State)}, true
	}
	return metadataAttribute(in.MetadataOptions, name)
}

func metadataAttribute(o *ec2types.InstanceMetadataOptionsResponse, name string) ([]string, bool) {
	if o == nil {
		o = &ec2types.InstanceMetadataOptionsResponse{}
	}
	switch name {
	case "metadata-options.http-tokens":
		return []string{string(o.HttpTokens)}, true
	case "metadata-options.http-endpoint":
		return []string{string(o.HttpEndpoint)}, true
	case "metadata-options.instance-metadata-tags":
		return []string{string(o.InstanceMetadataTags)}, true
	case "metadata-options.http-protocol-ipv4":
		return []string{string(o.HttpEndpoint)}, true
	case "metadata-options.http-protocol-ipv6":
		return []string{string(o.HttpProtocolIpv6)}, true
	case "metadata-options.state":
		return []string{string(o.State)}, true
	case "metadata-options.http-put-response-hop-limit":
		return []string{strconv.Itoa(int(aws.ToInt32(o.HttpPutResponseHopLimit)))}, true
	}
	return nil, false
}

func place(in *state.Instance, name string) ([]string, bool) {
	at := in.Placement
	if at == nil {
		at = &ec2types.Placement{}
	}
	switch name {
	case "availability-zone":
		return listing.Values(at.AvailabilityZone), true
	case "availability-zone-id":
		return listing.Values(at.AvailabilityZoneId), true
	case "placement-group-name":
		return listing.Values(at.GroupName), true
	case "tenancy":
		return []string{string(at.Tenancy)}, true
	case "affinity", "host-id", "placement-partition-number":
		return nil, true
	case "subnet-id":
		return listing.Values(in.SubnetId), true
	case "vpc-id":
		return listing.Values(in.VpcId), true
	case "private-ip-address":
		return listing.Values(in.PrivateIpAddress), true
	case "private-dns-name":
		return listing.Values(in.PrivateDnsName), true
	case "ip-address":
		return listing.Values(in.PublicIpAddress), true
	case "dns-name":
		return listing.Values(in.PublicDnsName), true
	}
	return groups(in.SecurityGroups, name, "instance.group-")
}

// groups returns the ids or the names of security groups.
func groups(all []ec2types.GroupIdentifier, name, prefix string) ([]string, bool) {
	var values []string
	for _, g := range all {
		switch name {
		case prefix + "id":
			values = append(values, aws.ToString(g.GroupId))
		case prefix + "name":
			values = append(values, aws.ToString(g.GroupName))
		}
	}
	return values, name == prefix+"id" || name == prefix+"name"
}

func kind(in *state.Instance, name string) ([]string, bool) {
	switch name {
	case "instance-type":
		return []string{string(in.InstanceType)}, true
	case "architecture":
		return []string{string(in.Architecture)}, true
	case "hypervisor":
		return []string{string(in.Hypervisor)}, true
	case "virtualization-type":
		return []string{string(in.VirtualizationType)}, true
	case "root-device-name":
		return listing.Values(in.RootDeviceName), true
	case "root-device-type":
		return []string{string(in.RootDeviceType)}, true
	case "boot-mode":
		return []string{string(in.BootMode)}, true
	case "current-instance-boot-mode":
		return []string{string(in.CurrentInstanceBootMode)}, true
	case "instance-lifecycle":
		return []string{cmp.Or(string(in.InstanceLifecycle), "normal")}, true
	case "platform":
		return []string{string(in.Platform)}, true
	case "platform-details":
		return listing.Values(in.PlatformDetails), true
	case "usage-operation":
		return listing.Values(in.UsageOperation), true
	case "usage-operation-update-time":
		return times(in.UsageOperationUpdateTime), true
	case "source-dest-check":
		return listing.Truth(in.SourceDestCheck), true
	case "kernel-id", "ramdisk-id", "product-code", "product-code.type", "outpost-arn", "spot-instance-request-id":
		return nil, true // nothing here has one
	}
	return nil, false
}

// options returns what a launch can choose, or could if this cloud had it.
func options(in *state.Instance, name string) ([]string, bool) {
	switch name {
	case "ebs-optimized":
		return listing.Truth(in.EbsOptimized), true
	case "ena-support":
		return listing.Truth(in.EnaSupport), true
	case "tpm-support":
		return listing.Values(in.TpmSupport), true
	case "enclave-options.enabled", "hibernation-options.configured", "private-dns-name-options.enable-resource-name-dns-aaaa-record":
		return []string{"false"}, true
	case "private-dns-name-options.enable-resource-name-dns-a-record":
		return listing.Truth(orNew(in.PrivateDnsNameOptions).EnableResourceNameDnsARecord), true
	case "private-dns-name-options.hostname-type":
		return []string{"ip-name"}, true
	case "network-performance-options.bandwidth-weighting":
		return []string{"default"}, true
	case "maintenance-options.auto-recovery":
		return []string{string(orNew(in.MaintenanceOptions).AutoRecovery)}, true
	case "capacity-reservation-specification.capacity-reservation-preference":
		return []string{string(orNew(in.CapacityReservationSpecification).CapacityReservationPreference)}, true
	case "capacity-reservation-id", "ipv6-address":
		return nil, true
	}
	return nil, false
}

func device(in *state.Instance, name string) ([]string, bool) {
	field, ok := strings.CutPrefix(name, "block-device-mapping.")
	if !ok {
		return nil, false
	}
	known := slices.Contains([]string{"device-name", "volume-id", "status", "attach-time", "delete-on-termination"}, field)
	var values []string
	for _, m := range in.BlockDeviceMappings {
		switch field {
		case "device-name":
			values = append(values, listing.Values(m.DeviceName)...)
		case "volume-id":
			values = append(values, listing.Values(m.Ebs.VolumeId)...)
		case "status":
			values = append(values, string(m.Ebs.Status))
		case "attach-time":
			values = append(values, times(m.Ebs.AttachTime)...)
		case "delete-on-termination":
			values = append(values, listing.Truth(m.Ebs.DeleteOnTermination)...)
		}
	}
	return values, known
}

// statusAttribute returns the values of an instance for a filter of DescribeInstanceStatus.
func statusAttribute(in *state.Instance, name string) ([]string, bool) {
	status := statusFor(in)
	switch name {
	case "availability-zone", "availability-zone-id", "instance-state-name", "instance-state-code":
		return attribute(in, name)
	case "instance-status.status":
		return []string{string(in.Status)}, true
	case "instance-status.reachability":
		return []string{string(checkOf(in.Status))}, true
	case "system-status.status":
		return []string{string(status)}, true
	case "system-status.reachability":
		return []string{string(checkOf(status))}, true
	case "attached-ebs-status.status":
		return []string{string(status)}, true
	case "event.code", "event.description", "event.instance-event-id", "event.not-after", "event.not-before", "event.not-before-deadline", "operator.managed", "operator.principal":
		return nil, true
	}
	return kit.TagFilter(in.Tags, name)
}
