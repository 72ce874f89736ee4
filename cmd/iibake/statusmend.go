package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
)

// mender knows what to type about drift.
type mender struct {
	project  *template.Project
	endpoint func(target string) string // address of a target that was reached; empty for AWS
}

func (m mender) fill(all []promote.Drift) {
	for i, d := range all {
		all[i].Mend = m.commands(d)
	}
}

// commands returns what mends d; nothing where no command does.
func (m mender) commands(d promote.Drift) []string {
	place := fmt.Sprintf("%s@%s", d.Image, d.Channel)
	switch d.Kind {
	case promote.DriftRevoked:
		switch {
		case d.Fleet != "":
			return move(d)
		case d.Channel == promote.Candidate:
			return []string{"iibake build " + d.Image + " --refresh"}
		}
		return []string{"iibake rollback " + place}
	case promote.DriftSilent:
		return []string{"iibake promote --resume " + place}
	case promote.DriftLaunch:
		if d.Notice {
			return m.goBack(d)
		}
		return move(d)
	case promote.DriftInstances, promote.DriftGone:
		return move(d)
	case promote.DriftAlias:
		return m.setAlias(d)
	case promote.DriftAge:
		return m.renew(d)
	case promote.DriftStray:
		if d.Group == "" {
			return []string{m.aws(d, "ec2 terminate-instances", "--instance-ids "+strings.Join(d.Instances, " "))}
		}
	case promote.DriftRefresh:
		return []string{m.aws(d, "autoscaling cancel-instance-refresh", "--auto-scaling-group-name "+shellWord(d.Group))}
	case promote.DriftTemplate:
		return m.pin(d)
	case promote.DriftMissing:
	}
	return nil
}

// move brings a fleet to what its channel holds.
func move(d promote.Drift) []string {
	if d.Want == nil {
		return nil
	}
	return []string{fmt.Sprintf("iibake promote %s %s --only %s", d.Want, d.Channel, d.Fleet)}
}

// pin turns the alias of a version that a group uses into a number.
func (m mender) pin(d promote.Drift) []string {
	switch {
	case d.Version != "":
		return nil
	case d.Want == nil: // the channel holds nothing yet: its first promotion does it
		return []string{fmt.Sprintf("iibake promote %s@%s %s --pin", d.Image, m.before(d.Channel), d.Channel)}
	}
	return []string{move(d)[0] + " --pin"}
}

func (m mender) goBack(d promote.Drift) []string {
	if d.Version == "" {
		return nil
	}
	return []string{m.aws(d, "autoscaling update-auto-scaling-group",
		fmt.Sprintf("--auto-scaling-group-name %s --launch-template LaunchTemplateId=%s,Version=%s", shellWord(d.Group), d.Template, d.Version))}
}

// setAlias has promote set the parameter where only publish finds out which AMI there is.
func (m mender) setAlias(d promote.Drift) []string {
	if d.AMI == "" {
		return []string{fmt.Sprintf("iibake publish %s --target %s", d.Want, d.Target), fmt.Sprintf("iibake promote %s %s", d.Want, d.Channel)}
	}
	return []string{m.aws(d, "ssm put-parameter", fmt.Sprintf("--name %s --type String --data-type aws:ec2:image --overwrite --value %s", shellWord(d.Parameter), d.AMI))}
}

// renew brings a newer image into a channel: by the channel before, where there is one.
func (m mender) renew(d promote.Drift) []string {
	commands := []string{"iibake build " + d.Image + " --refresh"} // without, what sources were last time counts
	if d.Channel == promote.Candidate {
		return commands
	}
	return append(commands, fmt.Sprintf("iibake promote %s@%s %s", d.Image, m.before(d.Channel), d.Channel))
}

// before returns the channel that images of another one come from.
func (m mender) before(ch promote.Channel) string {
	return cmp.Or(m.project.Channels[string(ch)].After, string(promote.Candidate))
}

// aws returns a command of the AWS CLI. It names the endpoint of what is not AWS: a group of the same name may be there, too.
func (m mender) aws(d promote.Drift, verb, rest string) string {
	endpoint := m.endpoint(d.Target)
	if endpoint != "" {
		endpoint = " --endpoint-url " + endpoint
	}
	return strings.TrimSpace(fmt.Sprintf("aws%s --region %s %s %s", endpoint, d.Region, verb, rest))
}

// shellWord puts a word into quotes where a shell would take it apart.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@=+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
