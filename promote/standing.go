package promote

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// standing is what is on record of one channel of an image.
type standing struct {
	Watched

	held   *bake.Ref          // nil where it holds nothing
	image  bake.Image         // that it holds
	since  time.Time          // when it came to hold that
	under  *Promotion         // that is under way
	active Active             // of under
	now    map[string]Rollout // of under, by fleet
	last   map[string]Rollout // the newest one of each fleet that has launch template versions, by fleet
	learnt map[string]Rollout // those of last, and what came before them where they moved nothing
}

// ledger is everything that a status needs of the catalog.
type ledger struct {
	standings []*standing
	images    map[string]bake.Ref // by AMI
	places    []bake.Artifact
	revoked   map[bake.Ref]Revocation // everything that must not be used
	versions  map[string]string       // AMIs of launch template versions that rollouts went from or to, by VersionKey
}

// readLedger reads the catalog.
func readLedger(ctx context.Context, c catalog.Catalog, watched []Watched) (*ledger, error) {
	l := &ledger{images: map[string]bake.Ref{}, versions: map[string]string{}}
	var err error
	if l.places, err = bake.NewArtifacts(c).Places(ctx); err != nil {
		return nil, err
	}
	for _, a := range l.places {
		l.images[a.AMI] = a.Image
	}
	if l.revoked, err = NewRevocations(c).all(ctx); err != nil {
		return nil, err
	}
	for _, w := range watched {
		s, err := readStanding(ctx, c, w)
		if err != nil {
			return nil, err
		}
		l.standings = append(l.standings, s)
		l.learn(s.now)
		l.learn(s.learnt)
	}
	return l, nil
}

// learn remembers the launch template versions of rollouts.
func (l *ledger) learn(rollouts map[string]Rollout) {
	for _, r := range rollouts {
		for _, m := range r.Moves {
			l.versions[VersionKey(m.Template, m.From)] = m.FromAMI
			if m.To != "" {
				l.versions[VersionKey(m.Template, m.To)] = m.ToAMI
			}
		}
	}
}

func readStanding(ctx context.Context, c catalog.Catalog, w Watched) (*standing, error) {
	s := &standing{Watched: w, now: map[string]Rollout{}, last: map[string]Rollout{}, learnt: map[string]Rollout{}}
	history, err := NewChannels(c).History(ctx, w.Image, w.Rule.Channel)
	if err != nil {
		return nil, err
	}
	if err := s.readHeld(ctx, c, history); err != nil {
		return nil, err
	}
	if err := s.readActive(ctx, c); err != nil {
		return nil, err
	}
	return s, s.readRollouts(ctx, c, history)
}

func (s *standing) readHeld(ctx context.Context, c catalog.Catalog, history []Past) error {
	held, err := NewChannels(c).Get(ctx, s.Image, s.Rule.Channel)
	if errors.Is(err, bake.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.held = &held
	if past, known := Arrival(history, held); known {
		s.since = past.Outcome.At
	}
	s.image, err = bake.NewImages(c).Get(ctx, held)
	if errors.Is(err, bake.ErrNotFound) { // its record was in another catalog
		s.image, err = bake.Image{Ref: held}, nil
	}
	return err
}

func (s *standing) readActive(ctx context.Context, c catalog.Catalog) error {
	a, err := NewActives(c).Get(ctx, s.Image, s.Rule.Channel)
	if errors.Is(err, bake.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := NewChannels(c).Promotion(ctx, s.Image, s.Rule.Channel, a.Number)
	if err != nil {
		return err
	}
	s.under, s.active = &p, a
	s.now, err = NewRollouts(c).Latest(ctx, p)
	return err
}

// lookBack is how many promotions with fleets are searched for the last rollout of each fleet.
const lookBack = 20

func (s *standing) readRollouts(ctx context.Context, c catalog.Catalog, history []Past) error {
	wanted, looked, moved := len(s.Rule.members()), 0, map[string]bool{}
	for _, past := range slices.Backward(history) {
		if len(past.Waves) == 0 {
			continue
		}
		if looked++; looked > lookBack || len(moved) >= wanted {
			return nil
		}
		latest, err := NewRollouts(c).Latest(ctx, past.Promotion)
		if err != nil {
			return err
		}
		for fleet, r := range latest {
			if len(r.Moves) == 0 || moved[fleet] {
				continue
			}
			if _, known := s.last[fleet]; !known {
				s.last[fleet] = r
			}
			if s.learnt[r.ID()] = r; r.moves() {
				moved[fleet] = true
			}
		}
	}
	return nil
}

// moves reports whether a rollout changed what its fleet launches. One that found its fleet there already knows nothing of versions that an
// earlier one made.
func (r Rollout) moves() bool {
	return slices.ContainsFunc(r.Moves, func(m Move) bool { return m.From != m.To })
}

// members returns the fleets of all waves.
func (r Rule) members() []Member { return slices.Concat(r.Waves...) }

// all returns every image that must not be used, with the revocation that says so: its own, or that of an image that it comes from.
func (v Revocations) all(ctx context.Context) (map[bake.Ref]Revocation, error) {
	said, err := recordList[Revocation](ctx, v.c, revocationsPrefix)
	if err != nil {
		return nil, err
	}
	newest := map[bake.Ref]Revocation{}
	for _, r := range said { // by number: the last one of an image counts
		newest[r.Image] = r
	}
	maps.DeleteFunc(newest, func(_ bake.Ref, r Revocation) bool { return r.Lifted })
	all := maps.Clone(newest)
	if len(all) == 0 {
		return all, nil
	}
	images, err := v.images.List(ctx, "")
	if err != nil {
		return nil, err
	}
	parents := map[bake.Ref]*bake.Ref{}
	for _, img := range images {
		parents[img.Ref] = img.Parent
	}
	for ref := range parents {
		for at := parents[ref]; at != nil && all[ref].Image == (bake.Ref{}); at = parents[*at] {
			if r, bad := newest[*at]; bad {
				all[ref] = r
			}
		}
	}
	return all, nil
}

// asks returns what has to be found out where the fleets are.
func (l *ledger) asks(rest []Member) []Ask {
	byTarget, wanted := map[string]*Ask{}, l.wanted()
	ask := func(target string) *Ask {
		if byTarget[target] == nil {
			byTarget[target] = &Ask{Target: target, AMIs: wanted, Versions: l.versions}
		}
		return byTarget[target]
	}
	group := func(m Member) *Ask {
		a := ask(m.Target)
		if !slices.Contains(a.Groups, m.Group) {
			a.Groups = append(a.Groups, m.Group)
		}
		return a
	}
	for _, s := range l.standings {
		for _, m := range s.Rule.members() {
			if a := group(m); s.under != nil && s.now[m.Name].Phase.moving() {
				a.Moving = append(a.Moving, m.Group)
			}
		}
		for _, target := range s.aliasTargets() {
			if a := ask(target); !slices.Contains(a.Parameters, s.Rule.Parameter) {
				a.Parameters = append(a.Parameters, s.Rule.Parameter)
			}
		}
	}
	for _, m := range rest {
		group(m)
	}
	var all []Ask
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		all = append(all, *byTarget[target])
	}
	return all
}

// wanted returns the AMIs of all images by region: what channels hold and what was revoked, then the newest versions.
func (l *ledger) wanted() map[string][]string {
	first := map[bake.Ref]bool{}
	for ref := range l.revoked {
		first[ref] = true
	}
	for _, s := range l.standings {
		if s.held != nil {
			first[*s.held] = true
		}
	}
	list := slices.Clone(l.places)
	slices.SortStableFunc(list, func(a, b bake.Artifact) int {
		if first[a.Image] != first[b.Image] {
			if first[a.Image] {
				return -1
			}
			return 1
		}
		return compareVersions(b.Image, a.Image)
	})
	wanted := map[string][]string{}
	for _, a := range list {
		wanted[a.Region] = append(wanted[a.Region], a.AMI)
	}
	return wanted
}

// compareVersions orders images by their age; versions that cannot be read are the oldest.
func compareVersions(a, b bake.Ref) int {
	x, _ := bake.ParseVersion(a.Version)
	y, _ := bake.ParseVersion(b.Version)
	return x.Compare(y)
}

// aliasTargets are those in which the channel's parameter must be.
func (s *standing) aliasTargets() []string {
	if s.Rule.Parameter == "" || s.held == nil {
		return nil
	}
	targets := slices.Clone(s.Targets)
	for _, m := range s.Rule.members() {
		targets = append(targets, m.Target)
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}

// moving reports whether a rollout has a refresh.
func (p Phase) moving() bool {
	switch p {
	case Starting, Refreshing, Stopping, Reverting, Returning:
		return true
	case Planned, Staging, Staged, Done, RolledBack, Failed:
	}
	return false
}
