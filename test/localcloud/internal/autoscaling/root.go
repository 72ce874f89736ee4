package autoscaling

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// replaceRoot begins to give an instance in service a new root volume.
func (l *look) replaceRoot(m *state.Member) {
	options, err := l.wanted().options(l.region, l.group.Account)
	replacer, can := l.service.instances.(RootReplacer)
	if err != nil || !can {
		return
	}
	chosen, image := l.optionFor(options, m)
	if err := replacer.ReplaceRoot(l.region, aws.ToString(m.InstanceId), image); err != nil {
		l.refuse("Replacing the root volume of EC2 instance: "+aws.ToString(m.InstanceId),
			"At "+stamp(l.now)+" the root volume of an instance was replaced in response to an instance refresh.", "", err)
		return
	}
	l.detach(m)
	m.LifecycleState, m.DueAt = astypes.LifecycleStateReplacingRootVolume, l.now.Add(rootTime)
	m.LaunchTemplate, m.ImageId = chosen.template, &image
	l.begin(m, "Replacing the root volume of EC2 instance: "+aws.ToString(m.InstanceId),
		"At "+stamp(l.now)+" the root volume of an instance was replaced in response to an instance refresh.", 50)
	l.due(m.DueAt)
}

// optionFor returns the option of a configuration that has the type of an instance, and its image.
func (l *look) optionFor(options []option, m *state.Member) (option, string) {
	for _, o := range options {
		if o.kind == aws.ToString(m.InstanceType) {
			return o, o.image
		}
	}
	return options[0], options[0].image
}

// stepRoot waits for an instance whose root volume is replaced. It counts as launched by the refresh from now on.
func (l *look) stepRoot(m *state.Member) {
	replacer, can := l.service.instances.(RootReplacer)
	if !can || !l.due(m.DueAt) {
		return
	}
	_, current := l.instance(m)
	switch {
	case replacer.ReplacingRoot(l.region, aws.ToString(m.InstanceId)):
		l.due(l.now.Add(pollInterval))
	case current == ec2types.InstanceStateNameRunning:
		m.Launched = l.now
		l.enterService(m)
	default:
		l.end(m, astypes.ScalingActivityStatusCodeFailed, "The instance ended while its root volume was replaced.")
		m.HealthStatus, m.Unhealthy = aws.String(unhealthy), endedCheck
		m.LifecycleState, m.DueAt = astypes.LifecycleStateInService, time.Time{}
	}
}
