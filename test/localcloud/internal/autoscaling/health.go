package autoscaling

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// What finds instances unhealthy, as causes of activities have it.
const (
	endedCheck  = "an EC2 health check indicating it has been terminated or stopped."
	statusCheck = "an EC2 instance status checks failure."
	elbCheck    = "an ELB system health check failure."
	userCheck   = "a user health-check."
)

// checkHealth marks instances that are not well, and replaces them.
func (l *look) checkHealth() {
	surplus := -desired(l.group) // how many are in service, well or not, beyond what is wanted
	for i := range l.group.Members {
		m := &l.group.Members[i]
		if !inService(m) {
			continue
		}
		if why := l.ailment(m); why != "" && !unwell(m) && !l.suspended("HealthCheck") {
			m.HealthStatus, m.Unhealthy = aws.String(unhealthy), why
		}
		surplus++
	}
	if l.suspended(processHeal) || l.suspended("Terminate") {
		return
	}
	first := l.launchesFirst() > 0
	for i := range l.group.Members {
		m := &l.group.Members[i]
		if !inService(m) || !unwell(m) {
			continue
		}
		if _, current := l.instance(m); !first || surplus > 0 || current != ec2types.InstanceStateNameRunning {
			l.replaceUnhealthy(m)
			surplus--
		}
	}
}

func unwell(m *state.Member) bool { return aws.ToString(m.HealthStatus) == unhealthy }

// launchesFirst returns how many unhealthy instances stay until their replacements are in service. Documented: an instance maintenance policy that lets the
// group grow has replacements launched first; without one, an unhealthy instance is terminated while its replacement is launched.
func (l *look) launchesFirst() int {
	p := l.group.InstanceMaintenancePolicy
	if p == nil || l.group.ActiveRefresh != "" || l.suspended(processHeal) {
		return 0
	}
	want := desired(l.group)
	return max(0, int(aws.ToInt32(p.MaxHealthyPercentage))*want/100-want)
}

func (l *look) replaceUnhealthy(m *state.Member) {
	why := m.Unhealthy
	if why == "" {
		why = userCheck
	}
	l.terminate(m, "At "+stamp(l.now)+" an instance was taken out of service in response to "+why)
}

// ailment returns what says that an instance in service is not well, or nothing. Documented: an instance that does not run has no grace period.
func (l *look) ailment(m *state.Member) string {
	in, current := l.instance(m)
	if current != ec2types.InstanceStateNameRunning && current != ec2types.InstanceStateNamePending {
		return endedCheck
	}
	impaired := in.Status == ec2types.SummaryStatusImpaired
	byELB := l.checksELB()
	if !impaired && !byELB {
		return ""
	}
	if !l.due(l.graceEnds(m)) {
		return ""
	}
	switch {
	case impaired:
		return statusCheck
	case l.elbSays(m, elbtypes.TargetHealthStateEnumUnhealthy):
		return elbCheck
	}
	l.due(l.now.Add(healthInterval))
	return ""
}

func (l *look) graceEnds(m *state.Member) time.Time {
	return m.InService.Add(seconds(l.group.HealthCheckGracePeriod))
}

// checksELB reports whether load balancers are asked for the health of instances.
func (l *look) checksELB() bool {
	return slices.Contains(strings.Split(aws.ToString(l.group.HealthCheckType), ","), "ELB") && len(targetGroups(l.group)) > 0
}

// elbSays reports whether a target group finds an instance in a state.
func (l *look) elbSays(m *state.Member, want elbtypes.TargetHealthStateEnum) bool {
	return slices.ContainsFunc(targetGroups(l.group), func(arn string) bool {
		health, _ := l.service.targets.Health(l.region, arn, aws.ToString(m.InstanceId))
		return health == want
	})
}

// noData returns the health check of the group that has not found an instance well yet, or nothing.
func (l *look) noData(m *state.Member) string {
	if !l.checksELB() {
		return ""
	}
	well := !slices.ContainsFunc(targetGroups(l.group), func(arn string) bool {
		health, _ := l.service.targets.Health(l.region, arn, aws.ToString(m.InstanceId))
		return health != elbtypes.TargetHealthStateEnumHealthy && health != elbtypes.TargetHealthStateEnumUnused
	})
	if well {
		return ""
	}
	return "Elastic Load Balancing"
}
