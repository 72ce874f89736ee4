package promote

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
)

// Drift is one thing that is not as it should be. It names all that a command needs that mends it.
type Drift struct {
	Kind      DriftKind `json:"kind"`
	Notice    bool      `json:"notice,omitempty"` // worth knowing; nothing is wrong yet
	What      string    `json:"what"`
	Remedy    string    `json:"remedy"`
	Image     string    `json:"image,omitempty"` // name
	Channel   Channel   `json:"channel,omitempty"`
	Fleet     string    `json:"fleet,omitempty"`
	Target    string    `json:"target,omitempty"`
	Account   string    `json:"account,omitempty"`
	Region    string    `json:"region,omitempty"`
	Group     string    `json:"group,omitempty"`
	Want      *bake.Ref `json:"want,omitempty"`      // what should be there
	Runs      *bake.Ref `json:"runs,omitempty"`      // what is there
	Template  string    `json:"template,omitempty"`  // id of a launch template
	Version   string    `json:"version,omitempty"`   // of the launch template: the one to go back to
	Parameter string    `json:"parameter,omitempty"` // SSM parameter
	AMI       string    `json:"ami,omitempty"`       // that Parameter should hold; empty where none is known to exist now
	Instances []string  `json:"instances,omitempty"` // ids
	Mend      []string  `json:"mend,omitempty"`      // commands; who shows the drift to people fills them in
}

// DriftKind says what is not as it should be.
type DriftKind string

// The kinds of drift, the most urgent first.
const (
	DriftRevoked   DriftKind = "revoked"   // a revoked image is held by a channel, or runs
	DriftMissing   DriftKind = "missing"   // there is no such group
	DriftGone      DriftKind = "gone"      // the AMI that a group launches from is not there any more
	DriftSilent    DriftKind = "silent"    // a promotion is under way whose driver seems dead
	DriftLaunch    DriftKind = "launch"    // a group launches from something else than it should
	DriftInstances DriftKind = "instances" // instances run something else than what the channel holds
	DriftAlias     DriftKind = "alias"     // an SSM parameter differs from its channel
	DriftAge       DriftKind = "age"       // what a channel holds is too old
	DriftStray     DriftKind = "stray"     // instances run an image of iibake outside of its fleets
	DriftRefresh   DriftKind = "refresh"   // an instance refresh that iibake did not start
	DriftTemplate  DriftKind = "template"  // a launch template was changed, and nothing follows from it yet
)

// add takes in what was found.
func (v *view) add(found ...Drift) { v.drift = append(v.drift, found...) }

// sortedDrift returns the drift by urgency.
func sortedDrift(all []Drift) []Drift {
	order := []DriftKind{
		DriftRevoked, DriftMissing, DriftGone, DriftSilent, DriftLaunch, DriftInstances, DriftAlias, DriftAge, DriftStray, DriftRefresh, DriftTemplate,
	}
	sorted := append([]Drift{}, all...)
	slices.SortStableFunc(sorted, func(a, b Drift) int {
		if a.Notice != b.Notice {
			if b.Notice {
				return -1
			}
			return 1
		}
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	return sorted
}

// about returns what every drift of a fleet says.
func (v *view) about(m Member, s Survey) Drift {
	return Drift{Image: m.Image, Fleet: m.Name, Target: m.Target, Account: s.Account, Region: s.Region, Group: m.Group}
}

func (d Drift) missing(st *standing) Drift {
	if st != nil {
		d.Channel, d.Want = st.Rule.Channel, st.held
	}
	d.Kind, d.What = DriftMissing, fmt.Sprintf("there is no Auto Scaling group %s in %s %s", d.Group, d.Account, d.Region)
	d.Remedy = "make the group, or name the right one, or another target, in iibake.yaml"
	return d
}

// judgeChannel says what is wrong with a channel apart from its fleets.
func (v *view) judgeChannel(st *standing, c ChannelStatus) {
	d := Drift{Image: c.Image, Channel: c.Channel, Want: c.Holds}
	if u := c.UnderWay; u != nil && (u.Silent || u.Gone) {
		d.Kind = DriftSilent
		d.What, d.Remedy = u.silence(v.now)
		v.add(d)
	}
	if c.Holds == nil {
		return
	}
	if r, bad := v.revoked[*c.Holds]; bad {
		d.Kind, d.Runs, d.What = DriftRevoked, c.Holds, fmt.Sprintf("it holds %s, which was revoked: %s", c.Holds, v.whyRevoked(*c.Holds, r))
		if d.Remedy = "go back to an earlier image, or promote a newer one"; c.Channel == Candidate {
			d.Remedy = "change the template or its files, commit and build it; or refresh what it is built from"
		}
		v.add(d)
	}
	if d.Runs = nil; c.Old {
		d.Kind, d.What = DriftAge, fmt.Sprintf("%s is %s old, and may be %s", c.Holds, daysText(v.now.Sub(c.Created)), daysText(time.Duration(c.MaxAge)))
		d.Remedy = "build a newer one and promote it"
		v.add(d)
	}
	for _, target := range st.aliasTargets() {
		v.judgeAlias(st, v.surveys[target])
	}
}

// silence says why nobody seems to drive a promotion, and what to do about it.
func (u UnderWay) silence(now time.Time) (what, remedy string) {
	if u.Gone {
		return fmt.Sprintf("%s, which drove %s, is dead", u.Active.Driver, u.Promotion.ID()), "take it over"
	}
	what = fmt.Sprintf("nothing was heard for %s of %s, which drives %s", roundText(now.Sub(u.Active.Seen)), u.Active.Driver, u.Promotion.ID())
	return what, "take it over, if that process is dead"
}

func (v *view) whyRevoked(ref bake.Ref, r Revocation) string {
	if r.Image != ref {
		return fmt.Sprintf("it comes from %s: %s", r.Image, r.Reason)
	}
	return r.Reason
}

// judgeAlias compares the channel's parameter in a target with the channel. While a promotion is being finished they may differ.
func (v *view) judgeAlias(st *standing, s Survey) {
	if s.Parameters == nil || st.under != nil && st.active.Final {
		return
	}
	value, there := s.Parameters[st.Rule.Parameter]
	if ref := imageOf(v.images, value); ref != nil && *ref == *st.held {
		return
	}
	d := Drift{
		Kind: DriftAlias, Image: st.Image, Channel: st.Rule.Channel, Target: s.Target, Account: s.Account, Region: s.Region, Want: st.held,
		Runs: imageOf(v.images, value), Parameter: st.Rule.Parameter, AMI: v.amiIn(*st.held, s),
	}
	d.What = fmt.Sprintf("the parameter %s in %s holds %s, the channel %s", d.Parameter, s.Place(), nameOf(d.Runs, value), st.held)
	if !there {
		d.What = fmt.Sprintf("there is no parameter %s in %s", d.Parameter, s.Place())
	}
	d.Remedy = "set the parameter to what the channel holds"
	v.add(d)
}

// amiIn returns what an image is where a survey is of, among those AMIs that exist now: the account's own before one that another account shares.
// A record may be of a cloud, or of a time, that is over: nobody is told to use what it names and nobody has seen.
func (v *view) amiIn(ref bake.Ref, s Survey) string {
	found := ""
	for _, a := range v.places {
		if a.Image == ref && a.Region == s.Region && s.AMIs[a.AMI] && (found == "" || a.Account == s.Account) {
			found = a.AMI
		}
	}
	return found
}

// strays tells of instances that run images of iibake outside of its fleets: by image, and by the group that has them.
func (v *view) strays(s Survey) {
	found := map[string]*Drift{}
	var order []string
	for _, in := range s.Strays {
		if v.seen[s.Account+s.Region+in.ID] {
			continue
		}
		v.seen[s.Account+s.Region+in.ID] = true
		key := in.AMI + " " + in.Group
		if found[key] == nil {
			order = append(order, key)
			ref := imageOf(v.images, in.AMI)
			found[key] = &Drift{Kind: DriftStray, Target: s.Target, Account: s.Account, Region: s.Region, Group: in.Group, Runs: ref, AMI: in.AMI}
			if ref != nil {
				found[key].Image = ref.Name
			}
		}
		found[key].Instances = append(found[key].Instances, in.ID)
	}
	for _, key := range order {
		d := *found[key]
		d.What = fmt.Sprintf("%s outside of every group in %s %s %s: %s", instances(len(d.Instances)), s.Place(), run(len(d.Instances)), nameOf(d.Runs, d.AMI), few(d.Instances))
		d.Remedy = "terminate what nobody needs: nothing replaces these when a new image comes"
		if d.Group != "" {
			d.Notice = true
			d.What = fmt.Sprintf("%s of the group %s in %s %s %s", instances(len(d.Instances)), d.Group, s.Place(), run(len(d.Instances)), nameOf(d.Runs, d.AMI))
			d.Remedy = "add the group to the fleets of iibake.yaml"
		}
		if r, bad := v.revokedRef(d.Runs); bad {
			d.Notice = false
			d.What += ", which was revoked: " + v.whyRevoked(*d.Runs, r)
		}
		v.add(d)
	}
}

func (v *view) revokedRef(ref *bake.Ref) (Revocation, bool) {
	if ref == nil {
		return Revocation{}, false
	}
	r, bad := v.revoked[*ref]
	return r, bad
}

// nameOf names an image, or the AMI of one that iibake did not make.
func nameOf(ref *bake.Ref, ami string) string {
	switch {
	case ref != nil:
		return ref.String()
	case ami == "":
		return "an unknown image"
	}
	return ami
}

func instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}

func run(n int) string {
	if n == 1 {
		return "runs"
	}
	return "run"
}

// few names the first of many.
func few(ids []string) string {
	const most = 5
	if len(ids) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
	}
	return strings.Join(ids, ", ")
}

// daysText writes an age for people.
func daysText(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return roundText(d).String()
}
