package asg

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/promote"
)

// undoes reports whether the rollout goes back from where it went itself. It then takes back what it did, and nothing that somebody else has done
// meanwhile: a group may have been given a hotfix by hand in the very minutes in which the rollout was about to begin. A rollout that goes back
// because that was asked for has no record before the one that says so.
func undoes(r promote.Rollout) bool { return r.Back && r.Step > 1 }

// leads reports whether a refresh goes where the rollout goes, or went before it went back.
func leads(refresh *astypes.InstanceRefresh, r promote.Rollout) bool {
	uses := configOf(refresh.DesiredConfiguration).uses()
	return len(uses) > 0 && !slices.ContainsFunc(uses, func(u use) bool {
		return !slices.ContainsFunc(r.Moves, func(m promote.Move) bool { return m.Template == u.template && m.To == u.version })
	})
}

// touched reports whether the group, or an instance of it, has something that only the rollout gave it.
func (g *group) touched(r promote.Rollout) bool {
	return slices.ContainsFunc(r.Moves, func(m promote.Move) bool {
		if m.To == m.From {
			return false
		}
		return slices.ContainsFunc(g.config().uses(), func(u use) bool { return u.template == m.Template && u.version == m.To }) ||
			slices.ContainsFunc(g.Instances, func(in astypes.Instance) bool { return !leaving(in) && gave(m, in) })
	})
}

// gave reports whether an instance is what a move made it: launched from the version, or given the image as another root volume.
func gave(m promote.Move, in astypes.Instance) bool {
	return in.LaunchTemplate != nil && aws.ToString(in.LaunchTemplate.LaunchTemplateId) == m.Template && aws.ToString(in.LaunchTemplate.Version) == m.To ||
		m.ToAMI != m.FromAMI && m.ToAMI != "" && aws.ToString(in.ImageId) == m.ToAMI
}

// knownTime is how long AWS may not know something that was made a moment ago. It promises no more than that it will.
const knownTime = 2 * time.Minute

// recent reports whether the rollout has come to its phase so lately that not every part of AWS may know of it.
func (f *Fleet) recent(r promote.Rollout) bool {
	return !r.At.IsZero() && f.t.Now().Sub(r.At).Abs() < knownTime
}
