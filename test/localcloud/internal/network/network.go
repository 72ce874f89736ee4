// Package network is the part of EC2 that instances live in: zones, the default VPC and its subnets, security groups, addresses and network
// interfaces. VPCs other than the default one of each account cannot be made.
package network

import (
	"sync"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Service answers for the network.
type Service struct {
	store *state.Store
	rules func(r *state.Region, group string)

	mu    sync.Mutex
	pools map[string]map[string]*pool // by region and subnet
}

// New returns the service. rules is called inside the Update that changed the rules of a security group.
func New(store *state.Store, rules func(r *state.Region, group string)) *Service {
	return &Service{store: store, rules: rules, pools: map[string]map[string]*pool{}}
}

// Register adds the operations to EC2's.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.describeZones)
	wire.Handle(svc, s.describeRegions)
	wire.Handle(svc, s.describeVPCs)
	wire.Handle(svc, s.describeVPCAttribute)
	wire.Handle(svc, s.describeSubnets)
	wire.Handle(svc, s.describeGateways)
	wire.Handle(svc, s.describeRouteTables)
	wire.Handle(svc, s.describeInterfaces)
	wire.Handle(svc, s.describeAccountAttributes)
	wire.Handle(svc, s.createGroup)
	wire.Handle(svc, s.deleteGroup)
	wire.Handle(svc, s.describeGroups)
	wire.Handle(svc, s.describeRules)
	wire.Handle(svc, s.authorizeIngress)
	wire.Handle(svc, s.authorizeEgress)
	wire.Handle(svc, s.revokeIngress)
	wire.Handle(svc, s.revokeEgress)
}
