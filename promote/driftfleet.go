package promote

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// judgeFleet says what is wrong with a fleet. While a promotion moves it, it may be anywhere on the way.
func (v *view) judgeFleet(st *standing, m Member, f FleetStatus, g Group) {
	d := v.about(m, v.surveys[m.Target])
	d.Channel, d.Want = st.Rule.Channel, st.held
	v.judgeRevoked(d, f)
	v.judgeGone(d, f, v.surveys[m.Target])
	if f.Refresh != nil && f.Refresh.Foreign {
		d.refreshing(v, f)
	}
	if st.moves(m) {
		return
	}
	v.judgeLaunch(d, st, f, g)
	v.judgeInstances(d, f, g)
	v.judgeTemplate(d, st, f)
}

// moves reports whether the promotion under way has the fleet.
func (st *standing) moves(m Member) bool {
	if st.under == nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(st.under.Waves...), func(other Member) bool { return other.Name == m.Name })
}

// judgeRevoked tells of instances that run a revoked image, where the channel does not hold it: otherwise the channel is to be mended.
func (v *view) judgeRevoked(d Drift, f FleetStatus) {
	for _, r := range f.Running {
		why, bad := v.revokedRef(r.Image)
		if !bad || d.Want != nil && *d.Want == *r.Image {
			continue
		}
		d.Kind, d.Runs = DriftRevoked, r.Image
		d.What = fmt.Sprintf("%s %s %s, which was revoked: %s", instances(r.Instances), run(r.Instances), r.Image, v.whyRevoked(*r.Image, why))
		d.Remedy = "bring the fleet to what the channel holds"
		v.add(d)
	}
}

// judgeGone tells of groups whose next launch will fail.
func (v *view) judgeGone(d Drift, f FleetStatus, s Survey) {
	for _, l := range f.Current {
		if there, known := s.AMIs[l.AMI]; !known || there {
			continue
		}
		d.Kind, d.Runs, d.AMI = DriftGone, l.Image, l.AMI
		d.What = fmt.Sprintf("it launches from %s, which cannot be launched any more: a failed instance will not be replaced", nameOf(l.Image, l.AMI))
		if l.Image != nil {
			d.What = fmt.Sprintf("it launches from %s of %s, which cannot be launched any more: a failed instance will not be replaced", l.AMI, l.Image)
		}
		d.Remedy = "publish the image again and move the fleet to it, or promote another one"
		v.add(d)
		return
	}
}

func (d Drift) refreshing(v *view, f FleetStatus) {
	d.Kind, d.Notice = DriftRefresh, true
	d.What = fmt.Sprintf("an instance refresh is %s at %d %% that iibake did not start", f.Refresh.State, f.Refresh.Percent)
	d.Remedy = "wait for its end, or cancel it: a rollout is refused meanwhile"
	v.add(d)
}

// judgeLaunch compares what the group launches from with what the channel holds, and with what the last rollout left.
func (v *view) judgeLaunch(d Drift, st *standing, f FleetStatus, g Group) {
	d.Kind = DriftLaunch
	for _, l := range f.Current {
		left := leftBy(st.last, f.Fleet, l)
		by := ""
		if left.version != "" && l.Version != "" && left.version != l.Version {
			by = fmt.Sprintf("; iibake left it at version %s, in %s", left.version, left.promotion)
			if d.Template, d.Version = l.Template, left.version; g.Mixed {
				d.Template, d.Version = "", "" // one command does not mend a policy
			}
		}
		wrong := st.held != nil && l.AMI != "" && (l.Image == nil || *l.Image != *st.held)
		if !wrong && by == "" {
			continue
		}
		d.Runs, d.Notice = l.Image, !wrong
		d.What = fmt.Sprintf("it launches from %s %s", versionText(l), nameOf(l.Image, l.AMI)) + by
		d.Remedy = "move the fleet to what the channel holds"
		if d.Notice {
			d.Remedy = "nothing, if the change was meant: the next rollout starts from it; otherwise go back to the version before"
		}
		v.add(d)
		return
	}
}

// left is what a rollout left a launch template at.
type left struct{ version, promotion string }

// leftBy returns what the last rollout of a fleet left of a launch template, as far as it came to a good end.
func leftBy(last map[string]Rollout, fleet string, l Launch) left {
	r := last[fleet]
	i := slices.IndexFunc(r.Moves, func(m Move) bool { return m.Template == l.Template })
	switch {
	case i < 0:
	case r.Phase == Done:
		return left{r.Moves[i].To, r.Promotion}
	case r.Phase == RolledBack:
		return left{r.Moves[i].From, r.Promotion}
	}
	return left{}
}

// versionText names a launch template with its version.
func versionText(l Launch) string {
	if l.Alias != "" {
		return fmt.Sprintf("%s version %s, which is %s now:", l.Name, l.Alias, l.Version)
	}
	return fmt.Sprintf("%s version %s:", l.Name, l.Version)
}

// judgeInstances tells of instances that run something else than what the channel holds.
func (v *view) judgeInstances(d Drift, f FleetStatus, g Group) {
	if d.Want == nil {
		return
	}
	n, all := right(f.Running, *d.Want)
	if n == all {
		return
	}
	var others []string
	d.Kind, d.Runs = DriftInstances, f.Running[0].Image
	for _, r := range f.Running {
		if r.AMI == "" || r.Image != nil && *r.Image == *d.Want {
			continue
		}
		others, d.Runs = append(others, fmt.Sprintf("%d %s %s", r.Instances, run(r.Instances), nameOf(r.Image, r.AMI))), r.Image
	}
	if len(others) == 0 {
		return // what is not known stands in the gaps
	}
	for _, in := range g.Instances {
		if ref := imageOf(v.images, in.AMI); !in.Leaving && in.AMI != "" && (ref == nil || *ref != *d.Want) {
			d.Instances = append(d.Instances, in.ID)
		}
	}
	d.What = fmt.Sprintf("of %s %s; the channel holds %s", instances(all), strings.Join(others, ", "), d.Want)
	d.Remedy = "move the fleet to what the channel holds"
	v.add(d)
}

// judgeTemplate tells of what may surprise at the next launch or rollout: an alias that anybody can move, and versions that were made by
// somebody else.
func (v *view) judgeTemplate(d Drift, st *standing, f FleetStatus) {
	d.Kind, d.Notice = DriftTemplate, true
	for _, l := range f.Current {
		if l.Alias != "" {
			d.Runs = l.Image
			d.What = fmt.Sprintf("it launches from version %s of %s: whoever moves that changes the fleet, and no rollout could go back", l.Alias, l.Name)
			d.Remedy = "fix it to a number"
			v.add(d)
			continue
		}
		info, known := v.surveys[f.Target].Templates[l.Template]
		made, ours := v.newest(l.Template)
		if !known || !ours || number(info.Latest) <= number(made) || leftBy(st.last, f.Fleet, l).version != l.Version {
			continue
		}
		d.Template, d.Version, d.Runs = l.Template, info.Latest, l.Image
		d.What = fmt.Sprintf("%s made version %s of launch template %s; the fleet uses version %s", v.maker(info), info.Latest, l.Name, l.Version)
		if info.Default == info.Latest {
			d.What += ", and the default is the new one"
		}
		d.Remedy = "if it is meant for the fleet, let the group use it: the next rollout starts from the version in use"
		v.add(d)
	}
}

// maker names who made the latest version of a launch template, which no rollout that was read left behind. Where the last one that made a
// version is none of those, it is likely that one, of long ago or one that died over it.
func (v *view) maker(info TemplateInfo) string {
	promotion, _, tagged := strings.Cut(info.Rollout, "/")
	read := slices.ContainsFunc(v.standings, func(st *standing) bool {
		_, learnt := st.learnt[info.Rollout]
		return learnt || st.under != nil && st.under.ID() == promotion
	})
	if !tagged || read {
		return "somebody"
	}
	return "iibake in " + promotion + ", or somebody since,"
}

// newest returns the newest version of a launch template that a rollout knows.
func (v *view) newest(template string) (version string, known bool) {
	for key := range v.versions {
		of, n, _ := strings.Cut(key, ":")
		if of == template && (!known || number(n) > number(version)) {
			version, known = n, true
		}
	}
	return version, known
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
