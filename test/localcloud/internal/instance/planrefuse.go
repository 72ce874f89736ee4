package instance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// refuse returns an error where a launch asks for what is not modelled and changes what an instance is, instead of launching another thing.
func (p *plan) refuse(*state.Region) error {
	in := p.in
	for _, u := range []struct {
		what  string
		asked bool
	}{
		{"Hibernation", in.HibernationOptions != nil && aws.ToBool(in.HibernationOptions.Configured)},
		{"Nitro Enclaves", in.EnclaveOptions != nil && aws.ToBool(in.EnclaveOptions.Enabled)},
		{"License configurations", len(in.LicenseSpecifications) > 0},
		{"IPv6", len(in.Ipv6Addresses) > 0 || aws.ToInt32(in.Ipv6AddressCount) > 0},
		{"Secondary interfaces", len(in.SecondaryInterfaces) > 0},
		{"A managing operator", in.Operator != nil && aws.ToString(in.Operator.Principal) != ""},
		{"A kernel or RAM disk", aws.ToString(in.KernelId) != "" || aws.ToString(in.RamdiskId) != ""},
		{"A capacity reservation", in.CapacityReservationSpecification != nil && in.CapacityReservationSpecification.CapacityReservationTarget != nil},
		{"A bandwidth weighting", in.NetworkPerformanceOptions != nil && in.NetworkPerformanceOptions.BandwidthWeighting != "" && in.NetworkPerformanceOptions.BandwidthWeighting != ec2types.InstanceBandwidthWeightingDefault},
		{"A host name of the resource id", in.PrivateDnsNameOptions != nil && in.PrivateDnsNameOptions.HostnameType == ec2types.HostnameTypeResourceName},
	} {
		if u.asked {
			return wire.Errorf("UnsupportedOperation", "%s is not supported here. Launch the instance without it.", u.what)
		}
	}
	if err := p.refusePlacement(); err != nil {
		return err
	}
	return p.planMarket()
}

func (p *plan) refusePlacement() error {
	at := p.in.Placement
	switch {
	case at == nil:
		return nil
	case aws.ToString(at.GroupName) != "":
		return wire.Errorf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", *at.GroupName)
	case aws.ToString(at.GroupId) != "":
		return wire.Errorf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", *at.GroupId)
	case at.Tenancy != "" && at.Tenancy != ec2types.TenancyDefault || aws.ToString(at.HostId) != "" || aws.ToString(at.HostResourceGroupArn) != "":
		return wire.Errorf("UnsupportedOperation", "Tenancies other than default are not supported here.")
	}
	return nil
}

// planMarket notes that an instance is a spot instance. It is never interrupted.
func (p *plan) planMarket() error {
	p.credits = p.kind.DefaultCredits()
	if c := p.in.CreditSpecification; c != nil && aws.ToString(c.CpuCredits) != "" {
		if !p.kind.Burstable {
			return wire.Errorf("InvalidParameterCombination", "The CreditSpecification parameter is only supported for burstable performance instances.")
		}
		if *c.CpuCredits != "standard" && *c.CpuCredits != "unlimited" {
			return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter CpuCredits is invalid.", *c.CpuCredits)
		}
		p.credits = *c.CpuCredits
	}
	switch m := p.in.InstanceMarketOptions; {
	case m == nil:
	case m.MarketType == ec2types.MarketTypeSpot:
		p.lifecycle = ec2types.InstanceLifecycleTypeSpot
	case m.MarketType != "":
		return wire.Errorf("UnsupportedOperation", "The market type '%s' is not supported here.", m.MarketType)
	}
	return nil
}

// planMetadata fills in the options of the metadata service.
func (p *plan) planMetadata(*state.Region) error {
	o := &ec2types.InstanceMetadataOptionsResponse{
		HttpEndpoint: ec2types.InstanceMetadataEndpointStateEnabled, HttpProtocolIpv6: ec2types.InstanceMetadataProtocolStateDisabled,
		HttpPutResponseHopLimit: aws.Int32(1), HttpTokens: ec2types.HttpTokensStateOptional, InstanceMetadataTags: ec2types.InstanceMetadataTagsStateDisabled,
		State: ec2types.InstanceMetadataOptionsStatePending,
	}
	if p.image.ImdsSupport == ec2types.ImdsSupportValuesV20 { // what the image asks for [documented]
		o.HttpTokens, o.HttpPutResponseHopLimit = ec2types.HttpTokensStateRequired, aws.Int32(2)
	}
	if in := p.in.MetadataOptions; in != nil {
		if err := setMetadata(o, in.HttpEndpoint, in.HttpTokens, in.HttpProtocolIpv6, in.InstanceMetadataTags, in.HttpPutResponseHopLimit); err != nil {
			return err
		}
	}
	p.metadata = o
	return nil
}

const maxHops = 64 // of the answer to a PUT for a token

// setMetadata changes the options that are given.
func setMetadata(o *ec2types.InstanceMetadataOptionsResponse, endpoint ec2types.InstanceMetadataEndpointState, tokens ec2types.HttpTokensState,
	ipv6 ec2types.InstanceMetadataProtocolState, tags ec2types.InstanceMetadataTagsState, hops *int32,
) error {
	if hops != nil && (*hops < 1 || *hops > maxHops) {
		return wire.Errorf("InvalidParameterValue",
			"A value of ‘%d’ is not valid for http-put-response-hop-limit. Specify a value between 1 and 64, and try again.", *hops)
	}
	if hops != nil {
		o.HttpPutResponseHopLimit = hops
	}
	if endpoint != "" {
		o.HttpEndpoint = endpoint
	}
	if tokens != "" {
		o.HttpTokens = tokens
	}
	if ipv6 != "" {
		o.HttpProtocolIpv6 = ipv6
	}
	if tags != "" {
		o.InstanceMetadataTags = tags
	}
	return nil
}
