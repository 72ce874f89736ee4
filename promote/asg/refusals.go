package asg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/promote"
)

// refusals returns everything that speaks against the rollout, or against the way back from it, each with what to do.
func (l *look) refusals() []string {
	var all []string
	for _, against := range []func() []string{
		l.state, l.configuration, l.aliases, l.wayBack, l.wayBackAgain, l.image, l.fit, l.rootVolumes, l.attributes, l.busy, l.processes, l.bounds, l.weights, l.held, l.roots, l.alarmed,
	} {
		all = append(all, against()...)
	}
	return all
}

func (l *look) isRollback() bool { return len(l.q.Moves) > 0 }

func (l *look) state() []string {
	if status := aws.ToString(l.group.Status); status != "" {
		return []string{fmt.Sprintf("the group is being deleted (%s): take it out of the channel", status)}
	}
	return nil
}

// configuration refuses a group that an instance refresh with a desired configuration cannot move.
func (l *look) configuration() []string {
	if len(l.places) > 0 {
		return nil
	}
	if name := aws.ToString(l.group.LaunchConfigurationName); name != "" {
		return []string{fmt.Sprintf("the group uses launch configuration %s: give it a launch template", name)}
	}
	return []string{"the group has no launch template: give it one"}
}

// aliases refuses what has no fixed meaning: the group would launch something else the moment that the alias moves, and AWS rolls back none such.
func (l *look) aliases() []string {
	if l.q.Pin || l.isRollback() {
		return nil
	}
	var all []string
	for _, part := range byVersion(l.places) {
		u, v := part[0].use, part[0].version
		switch {
		case isAlias(u.version) && v != nil:
			all = append(all, fmt.Sprintf("the group uses version %s of launch template %s, which cannot be rolled back: pin it to what it means now, version %s", u.version, u.name, v.number))
		case v != nil && v.parameter != "":
			all = append(all, fmt.Sprintf("version %s of launch template %s has its image from SSM parameter %s, which cannot be rolled back: pin it to what it stands for now, %s",
				v.number, v.name, v.parameter, v.ami))
		}
	}
	return all
}

// pins says what the pins change that aliases asks for.
func (l *look) pins() []string {
	if !l.q.Pin || l.isRollback() {
		return nil
	}
	var all []string
	for _, part := range byVersion(l.places) {
		u, v := part[0].use, part[0].version
		switch {
		case v == nil:
		case v.parameter != "":
			all = append(all, fmt.Sprintf("launch template %s: a new version with %s, for which SSM parameter %s stands now, in place of version %s", v.name, v.ami, v.parameter, u.version))
		case isAlias(u.version):
			all = append(all, fmt.Sprintf("launch template %s: version %s in place of %s", u.name, v.number, u.version))
		}
	}
	return all
}

// wayBack refuses where what the group has now could not be launched again.
func (l *look) wayBack() []string {
	if l.isRollback() {
		return nil
	}
	var all []string
	for _, p := range launchingPlaces(l.places) {
		switch {
		case p.version == nil:
			all = append(all, fmt.Sprintf("launch template %s has no version %s, which the group uses: set the group to one that exists", p.use.name, p.use.version))
		case p.ami() == "":
			all = append(all, fmt.Sprintf("version %s of launch template %s names no image, so that there is none to go back to: set the group to a version with one", p.number, p.use.name))
		default:
			all = append(all, l.launchable(p.ami(), "which the group has now and would go back to")...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// wayBackAgain refuses a rollback to what is not there any more.
func (l *look) wayBackAgain() []string {
	var all []string
	for i, m := range l.q.Moves {
		switch v := l.before[i]; {
		case v == nil:
			all = append(all, fmt.Sprintf("launch template %s has no version %s any more: promote an earlier image instead", m.Name, m.From))
		case v.parameter == "" && v.ami != "" && firstImage(m.Overrides) == "":
			all = append(all, l.launchable(v.ami, "which the group would go back to")...)
		default:
			all = append(all, l.launchable(m.FromAMI, "which the group would go back to")...)
		}
	}
	return all
}

// launchable refuses an AMI that the account cannot launch.
func (l *look) launchable(ami, why string) []string {
	img, ok := l.images[ami]
	switch {
	case !ok:
		return []string{fmt.Sprintf("%s, %s, does not exist in %s or is not shared with account %s: restore or share it, or promote from an image that is there", ami, why, l.f.t.Region, l.f.t.Account)}
	case img.State != "available":
		return []string{fmt.Sprintf("%s, %s, is %s: enable it, or wait until it is available", ami, why, img.State)}
	}
	return nil
}

// image refuses an AMI of the new image that is not there, or that is of another architecture than the image.
func (l *look) image() []string {
	if l.isRollback() || l.q.Artifact.AMI == "" {
		return nil
	}
	return l.launchable(l.q.Artifact.AMI, "the AMI of "+l.q.Image.String())
}

func (l *look) busy() []string {
	if l.active == nil {
		return nil
	}
	return []string{fmt.Sprintf("instance refresh %s is running (%s, %d %%): wait for it, or cancel it",
		aws.ToString(l.active.InstanceRefreshId), stateOf(l.active.Status), aws.ToInt32(l.active.PercentageComplete))}
}

// processes refuses a group in which a process sleeps without which a refresh stands still, or believes what is not so.
func (l *look) processes() []string {
	var asleep []string
	for _, p := range l.group.SuspendedProcesses {
		if name := aws.ToString(p.ProcessName); slices.Contains([]string{"Launch", "Terminate", "InstanceRefresh", "HealthCheck", "AddToLoadBalancer"}, name) {
			asleep = append(asleep, name)
		}
	}
	if len(asleep) == 0 {
		return nil
	}
	slices.Sort(asleep)
	return []string{fmt.Sprintf("suspended processes: %s: resume them", strings.Join(asleep, ", "))}
}

// bounds refuses a group of one that may neither do without its instance nor have a second one. A rollback it does not keep: AWS launches
// before it terminates where the maximum is explicit.
func (l *look) bounds() []string {
	if l.group.desired() != 1 || l.isRollback() || l.s.Kind == promote.ReplaceRootVolume {
		return nil
	}
	if least, most := span(l.s, 1); least < 1 || most > 1 {
		return nil
	}
	return []string{fmt.Sprintf("the group has one instance, and min_healthy %d with max_healthy %d leaves no room to replace it: "+
		"set max_healthy: 200, so that its successor comes first, or min_healthy: 0", l.s.MinHealthy, l.s.MaxHealthy)}
}

// weights refuses a group of which one instance is all: AWS documents that it may replace all of such a group at once, whatever shall stay healthy.
func (l *look) weights() []string {
	p, n := l.group.MixedInstancesPolicy, l.group.desired()
	if p == nil || p.LaunchTemplate == nil || n == 0 || l.s.MinHealthy == 0 || l.isRollback() || l.s.Kind == promote.ReplaceRootVolume {
		return nil
	}
	for _, o := range p.LaunchTemplate.Overrides {
		if w, err := strconv.Atoi(aws.ToString(o.WeightedCapacity)); err == nil && w >= n && w > 1 {
			return []string{fmt.Sprintf("an instance of type %s has a weight of %d, and the group's desired capacity is %d, so that AWS may replace all instances at once: "+
				"set a desired capacity above the largest weight, or min_healthy: 0", aws.ToString(o.InstanceType), w, n)}
		}
	}
	return nil
}

// attributes refuses a group whose instance types are chosen by their attributes: AWS knows neither a desired configuration nor skip matching
// for it, so that a refresh could not go anywhere.
func (l *look) attributes() []string {
	if !slices.ContainsFunc(launchingPlaces(l.places), func(p place) bool { return p.use.vague || p.use.kind == "" && p.version != nil && p.version.vague }) {
		return nil
	}
	return []string{"the group chooses instance types by their attributes, and AWS refreshes no such group to another launch template version: name the instance types"}
}

// held refuses instances that a refresh would wait an hour for, and fail.
func (l *look) held() []string {
	var protected, standby []string
	for _, in := range l.group.Instances {
		if aws.ToBool(in.ProtectedFromScaleIn) {
			protected = append(protected, aws.ToString(in.InstanceId))
		}
		if in.LifecycleState == astypes.LifecycleStateStandby || in.LifecycleState == astypes.LifecycleStateEnteringStandby {
			standby = append(standby, aws.ToString(in.InstanceId))
		}
	}
	var all []string
	if len(protected) > 0 && l.s.Protected == "" {
		all = append(all, fmt.Sprintf("instances protected from scale in: %s: say what shall become of them (protected: refresh, ignore or wait), or end the protection", few(protected)))
	}
	if len(standby) > 0 && l.s.Standby == "" {
		all = append(all, fmt.Sprintf("instances in standby: %s: say what shall become of them (standby: terminate, ignore or wait), or return them to service", few(standby)))
	}
	return all
}

// few names the first ones.
func few(ids []string) string {
	const shown = 3
	if len(ids) <= shown {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:shown], ", "), len(ids)-shown)
}

// maxAlarms is how many alarms a refresh can have.
const maxAlarms = 10

// alarmed refuses alarms by which a refresh would fail at once, or that nobody hears.
func (l *look) alarmed() []string {
	var all []string
	if n := len(l.s.Alarms); n > maxAlarms && !l.isRollback() {
		all = append(all, fmt.Sprintf("the fleet has %d alarms, and AWS takes %d: put some of them together in a composite alarm", n, maxAlarms))
	}
	for _, name := range l.s.Alarms {
		state, ok := l.alarms[name]
		switch {
		case l.isRollback():
		case !ok:
			all = append(all, fmt.Sprintf("there is no alarm %s: correct the fleet's alarms, or make it", name))
		case state == cwtypes.StateValueAlarm:
			all = append(all, fmt.Sprintf("alarm %s is in ALARM already: mend what it tells of first", name))
		}
	}
	return all
}
