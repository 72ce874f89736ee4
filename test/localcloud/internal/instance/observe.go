package instance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// The codes of the states of an instance; the high byte of EC2's is always zero here.
const (
	codePending      = 0
	codeRunning      = 16
	codeShuttingDown = 32
	codeTerminated   = 48
	codeStopping     = 64
	codeStopped      = 80
)

func stateOf(name ec2types.InstanceStateName) *ec2types.InstanceState {
	var code int32
	switch name {
	case ec2types.InstanceStateNamePending:
		code = codePending
	case ec2types.InstanceStateNameRunning:
		code = codeRunning
	case ec2types.InstanceStateNameShuttingDown:
		code = codeShuttingDown
	case ec2types.InstanceStateNameTerminated:
		code = codeTerminated
	case ec2types.InstanceStateNameStopping:
		code = codeStopping
	case ec2types.InstanceStateNameStopped:
		code = codeStopped
	}
	return &ec2types.InstanceState{Code: &code, Name: name}
}

// The two reasons for a regular end.
const (
	userShutdown  = "Client.UserInitiatedShutdown"
	guestShutdown = "Client.InstanceInitiatedShutdown"
)

func reason(code, message string) *ec2types.StateReason {
	return &ec2types.StateReason{Code: &code, Message: &message}
}

// changed tells the watchers about an instance.
func (s *Service) changed(r *state.Region, in *state.Instance) {
	for _, watch := range s.watchers {
		watch(r, in)
	}
}

// Running notes that an instance is powered on. What nobody waits for any more is ignored.
func (s *Service) Running(region, id string, a compute.Addresses) {
	s.observe(region, id, func(r *state.Region, in *state.Instance) {
		if in.State.Name != ec2types.InstanceStateNamePending && in.State.Name != ec2types.InstanceStateNameRunning {
			return
		}
		in.State, in.StateReason = stateOf(ec2types.InstanceStateNameRunning), nil
		applied := *in.MetadataOptions
		applied.State = ec2types.InstanceMetadataOptionsStateApplied
		in.MetadataOptions = &applied
		if in.Monitoring.State == ec2types.MonitoringStatePending {
			in.Monitoring = &ec2types.Monitoring{State: ec2types.MonitoringStateEnabled}
		}
		connect(r, in, a)
		s.changed(r, in)
	})
}

// connect gives an instance the addresses where it answers.
func connect(r *state.Region, in *state.Instance, a compute.Addresses) {
	private, public := cmp.Or(a.Private, in.Address), a.Public
	if !in.PublicAddress {
		public = ""
	}
	in.PrivateIpAddress = &private
	in.PublicIpAddress, in.PublicDnsName = nil, aws.String("")
	card := in.NetworkInterfaces[0]
	attachment := *card.Attachment
	attachment.Status = ec2types.AttachmentStatusAttached
	card.Attachment, card.PrivateIpAddress, card.Association = &attachment, &private, nil
	if public != "" {
		name := publicName(r.Name, public)
		in.PublicIpAddress, in.PublicDnsName = &public, &name
		card.Association = &ec2types.InstanceNetworkInterfaceAssociation{IpOwnerId: aws.String("amazon"), PublicDnsName: &name, PublicIp: &public}
	}
	card.PrivateIpAddresses = []ec2types.InstancePrivateIpAddress{{
		Association: card.Association, Primary: aws.Bool(true), PrivateDnsName: in.PrivateDnsName, PrivateIpAddress: &private,
	}}
	in.NetworkInterfaces = []ec2types.InstanceNetworkInterface{card}
}

// disconnect takes the public address from an instance that does not run any more.
func disconnect(in *state.Instance) {
	in.PublicIpAddress, in.PublicDnsName = nil, aws.String("")
	if len(in.NetworkInterfaces) > 0 {
		card := in.NetworkInterfaces[0]
		card.Association = nil
		card.PrivateIpAddresses = []ec2types.InstancePrivateIpAddress{{
			Primary: aws.Bool(true), PrivateDnsName: in.PrivateDnsName, PrivateIpAddress: in.PrivateIpAddress,
		}}
		in.NetworkInterfaces = []ec2types.InstanceNetworkInterface{card}
	}
}

// Status notes what the status checks of a running instance found.
func (s *Service) Status(region, id string, healthy bool) {
	s.observe(region, id, func(r *state.Region, in *state.Instance) {
		status := ec2types.SummaryStatusImpaired
		if healthy {
			status = ec2types.SummaryStatusOk
		}
		if in.State.Name != ec2types.InstanceStateNameRunning || in.Status == status {
			return
		}
		in.Status, in.Impaired = status, time.Time{}
		if !healthy {
			in.Impaired = r.Now()
		}
		s.changed(r, in)
	})
}

// Ended notes that an instance is powered off.
func (s *Service) Ended(region, id string, e compute.Ending) {
	s.observe(region, id, func(r *state.Region, in *state.Instance) {
		switch in.State.Name {
		case ec2types.InstanceStateNameShuttingDown:
			s.terminated(r, in)
		case ec2types.InstanceStateNameStopping:
			s.stopped(r, in)
		case ec2types.InstanceStateNamePending:
			s.notStarted(r, in, e)
		case ec2types.InstanceStateNameRunning:
			s.endedItself(r, in, e)
		case ec2types.InstanceStateNameStopped, ec2types.InstanceStateNameTerminated: // known already
		}
	})
}

// notStarted ends a launch that failed, or puts an instance that could not be started again back to stopped.
func (s *Service) notStarted(r *state.Region, in *state.Instance, e compute.Ending) {
	if e.Code == "" { // the guest shut itself down while it booted
		s.endedItself(r, in, e)
		return
	}
	in.StateReason, in.StateTransitionReason = reason(e.Code, message(e)), aws.String(e.Code)
	if in.Starts > 1 {
		s.stopped(r, in)
		return
	}
	s.tell(r, func(d compute.Driver) { d.Terminate(*in.InstanceId) })
	s.terminated(r, in)
}

// endedItself notes that a guest powered its machine off, or that the machine failed.
func (s *Service) endedItself(r *state.Region, in *state.Instance, e compute.Ending) {
	in.StateReason, in.StateTransitionReason = reason(guestShutdown, guestShutdown+": Instance initiated shutdown"), aws.String("")
	if e.Code != "" {
		in.StateReason, in.StateTransitionReason = reason(e.Code, message(e)), aws.String(e.Code)
	}
	if in.Shutdown != ec2types.ShutdownBehaviorTerminate || e.Code != "" {
		s.stopped(r, in)
		return
	}
	id := *in.InstanceId
	s.tell(r, func(d compute.Driver) { d.Terminate(id) }) // its disks are still there
	s.terminated(r, in)
}

// message returns the text of a reason, which in EC2 begins with the code.
func message(e compute.Ending) string {
	if strings.HasPrefix(e.Message, e.Code) {
		return e.Message
	}
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// observe changes an instance because of what the driver says; one that is not known any more is ignored.
func (s *Service) observe(region, id string, f func(r *state.Region, in *state.Instance)) {
	_ = s.store.Update(region, func(r *state.Region) error { // keeping the records is the store's business; nobody waits for this answer
		if in := r.Instances.Edit(id); in != nil {
			f(r, in)
		}
		return nil
	})
}

func (s *Service) stopped(r *state.Region, in *state.Instance) {
	in.State, in.Status, in.Impaired = stateOf(ec2types.InstanceStateNameStopped), ec2types.SummaryStatusNotApplicable, time.Time{}
	disconnect(in)
	s.changed(r, in)
	if in.NewRoot != "" {
		s.renewRoot(r, in)
	}
}

// terminated gives up what an instance had, and lets it be forgotten in an hour.
func (s *Service) terminated(r *state.Region, in *state.Instance) {
	s.network.Release(r, aws.ToString(in.SubnetId), in.Address)
	releaseVolumes(r, in)
	in.State, in.Status, in.Impaired = stateOf(ec2types.InstanceStateNameTerminated), ec2types.SummaryStatusNotApplicable, time.Time{}
	in.Terminated, in.Address, in.CardTags = r.Now(), "", nil
	in.NetworkInterfaces, in.BlockDeviceMappings, in.SecurityGroups = []ec2types.InstanceNetworkInterface{}, []ec2types.InstanceBlockDeviceMapping{}, []ec2types.GroupIdentifier{}
	in.SubnetId, in.VpcId, in.PrivateIpAddress, in.PublicIpAddress, in.IamInstanceProfile = nil, nil, nil, nil, nil
	in.PrivateDnsName, in.PublicDnsName = aws.String(""), aws.String("")
	s.bury(r, *in.InstanceId)
	s.changed(r, in)
}

// releaseVolumes deletes the volumes that end with their instance, and makes the others available.
func releaseVolumes(r *state.Region, in *state.Instance) {
	for _, m := range in.BlockDeviceMappings {
		id := aws.ToString(m.Ebs.VolumeId)
		if aws.ToBool(m.Ebs.DeleteOnTermination) {
			r.Volumes.Delete(id)
		} else if v := r.Volumes.Edit(id); v != nil {
			v.State, v.Attachments = ec2types.VolumeStateAvailable, []ec2types.VolumeAttachment{}
		}
	}
}

// grave is a terminated instance that is still shown.
type grave struct {
	id string
	at time.Time
}

// bury has an instance forgotten later. One timer a region is enough, for all are remembered for the same time.
func (s *Service) bury(r *state.Region, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.graves[r.Name] = append(s.graves[r.Name], grave{id, r.Now()})
	if len(s.graves[r.Name]) == 1 {
		s.forgetAfter(r.Name, remembered)
	}
}

func (s *Service) forgetAfter(region string, d time.Duration) {
	s.store.Clock().AfterFunc(d, func() { s.forget(region) })
}

// forget deletes the records of instances that were terminated long ago.
func (s *Service) forget(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		graves := s.graves[region]
		for len(graves) > 0 && !graves[0].at.Add(remembered).After(r.Now()) {
			r.Instances.Delete(graves[0].id)
			graves = graves[1:]
		}
		s.graves[region] = graves
		if len(graves) > 0 {
			s.forgetAfter(region, graves[0].at.Add(remembered).Sub(r.Now()))
		}
		return nil
	})
}

// Resume goes on with the instances of a region after a restart of the process, which ended what had run them: those that were to run are started
// again with the disks that they have, those that were to end have ended. It is called once for each region, after Attach and Watch, before the first call.
func (s *Service) Resume(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		var gone []*state.Instance
		for id := range r.Instances.Sorted() {
			in := r.Instances.Edit(id)
			switch in.State.Name {
			case ec2types.InstanceStateNamePending, ec2types.InstanceStateNameRunning:
				s.restart(r, in)
			case ec2types.InstanceStateNameStopping:
				s.stopped(r, in)
			case ec2types.InstanceStateNameShuttingDown:
				s.tell(r, func(d compute.Driver) { d.Terminate(id) })
				s.terminated(r, in)
			case ec2types.InstanceStateNameTerminated:
				gone = append(gone, in)
			case ec2types.InstanceStateNameStopped:
			}
		}
		s.exhume(r, gone)
		return nil
	})
}

func (s *Service) restart(r *state.Region, in *state.Instance) {
	in.Status = ec2types.SummaryStatusInitializing
	spec := s.spec(r, in)
	s.tell(r, func(d compute.Driver) { d.Start(spec) })
	s.changed(r, in)
}

// exhume puts instances that were terminated before the restart where bury would have put them: before those that Resume terminated.
func (s *Service) exhume(r *state.Region, gone []*state.Instance) {
	slices.SortFunc(gone, func(a, b *state.Instance) int { return a.Terminated.Compare(b.Terminated) })
	s.mu.Lock()
	defer s.mu.Unlock()
	var graves []grave
	for _, in := range gone {
		graves = append(graves, grave{*in.InstanceId, in.Terminated})
	}
	if len(graves) > 0 {
		s.forgetAfter(r.Name, max(0, graves[0].at.Add(remembered).Sub(r.Now())))
	}
	s.graves[r.Name] = append(graves, s.graves[r.Name]...)
}

// userReason is the text of a transition that a user asked for.
func userReason(now time.Time) *string {
	return aws.String(fmt.Sprintf("User initiated (%s)", now.UTC().Format("2006-01-02 15:04:05 GMT")))
}
