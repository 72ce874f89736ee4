package promote

import (
	"maps"
	"slices"
	"time"

	"github.com/iibake/iibake/bake"
)

// view puts together what is on record and what exists.
type view struct {
	*ledger

	surveys map[string]Survey // by target
	now     time.Time
	gone    func(driver string) bool
	drift   []Drift
	seen    map[string]bool // strays that were told of: several targets may reach the same account and region
}

func (v *view) status(rest []Member) Status {
	s := Status{At: v.now.UTC(), Channels: []ChannelStatus{}, Targets: []TargetStatus{}}
	for _, st := range v.standings {
		s.Channels = append(s.Channels, v.channel(st))
	}
	for _, m := range rest {
		f, _ := v.fleet(m, nil)
		s.Rest = append(s.Rest, f)
	}
	v.seen = map[string]bool{}
	for _, target := range slices.Sorted(maps.Keys(v.surveys)) {
		survey := v.surveys[target]
		s.Targets = append(s.Targets, TargetStatus{target, survey.Account, survey.Region, survey.Gaps, survey.Calls})
		v.strays(survey)
	}
	s.Drift = sortedDrift(v.drift)
	return s
}

func (v *view) channel(st *standing) ChannelStatus {
	c := ChannelStatus{
		Image: st.Image, Channel: st.Rule.Channel, Holds: st.held, Since: st.since, Created: st.image.Created,
		MaxAge: st.Rule.MaxAge, Parameter: st.Rule.Parameter,
	}
	if st.under != nil {
		c.UnderWay = &UnderWay{
			Promotion: *st.under, Active: st.active,
			Silent: v.now.Sub(st.active.Seen) > Silence, Gone: v.gone != nil && v.gone(st.active.Driver),
		}
	}
	c.Old = st.held != nil && c.MaxAge > 0 && !c.Created.IsZero() && v.now.Sub(c.Created) > time.Duration(c.MaxAge)
	v.judgeChannel(st, c)
	for wave, members := range st.Rule.Waves {
		for _, m := range members {
			f, g := v.fleet(m, st)
			f.Wave = wave
			c.Fleets = append(c.Fleets, f)
			if g != nil {
				v.judgeFleet(st, m, f, *g)
			}
		}
	}
	return c
}

// fleet says how one fleet is; its group is nil where that is not known.
func (v *view) fleet(m Member, st *standing) (FleetStatus, *Group) {
	survey := v.surveys[m.Target]
	f := FleetStatus{Fleet: m.Name, Target: m.Target, Account: survey.Account, Region: survey.Region, Group: m.Group}
	var r Rollout
	if st != nil && st.under != nil {
		if r = st.now[m.Name]; r.Phase != "" {
			f.Phase, f.Reason = r.Phase, r.Reason
		}
	}
	if f.Unknown = survey.lost(); f.Unknown != "" {
		return f, nil
	}
	g, ok := survey.Groups[m.Group]
	if !ok {
		f.Missing = true
		v.add(v.about(m, survey).missing(st))
		return f, nil
	}
	f.Desired, f.Healthy, f.Running, f.Current = g.Desired, g.healthy(), g.running(v.images), v.launches(g)
	f.Refresh, f.Unchecked = refreshSeen(g, r), !g.Asked && survey.missing(PartRefreshes) == ""
	return f, &g
}

// launches adds which images a group launches.
func (v *view) launches(g Group) []Launch {
	all := slices.Clone(g.Current)
	for i, l := range all {
		all[i].Image = imageOf(v.images, l.AMI)
	}
	return all
}

// refreshSeen returns the refresh of a group. Where AWS was not asked, the record of its rollout r and its instances tell.
func refreshSeen(g Group, r Rollout) *Refresh {
	if g.Refresh != nil {
		seen := *g.Refresh
		nameless := r.Phase == Starting || r.Phase == Reverting || r.Phase == Returning && r.Refresh == "" // nobody knows its id yet, or ever
		seen.Foreign = seen.ID != r.Refresh && !nameless
		return &seen
	}
	if g.Asked || !r.Phase.moving() {
		return nil
	}
	seen := &Refresh{ID: r.Refresh, State: Replacing, Estimated: true, Reason: r.Reason, Since: r.At}
	there, all := 0, 0
	for _, in := range g.Instances {
		if in.Leaving {
			continue
		}
		if all++; in.AMI == r.AMI {
			there++
		}
	}
	if all > 0 {
		seen.Percent = 100 * there / all
	}
	if r.Phase == Reverting || r.Phase == Returning {
		seen.State = GoingBack
	}
	return seen
}

// right returns how many of the instances run an image.
func right(running []Version, want bake.Ref) (n, all int) {
	for _, r := range running {
		if all += r.Instances; r.Image != nil && *r.Image == want {
			n += r.Instances
		}
	}
	return n, all
}
