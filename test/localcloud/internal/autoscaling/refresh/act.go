package refresh

import "time"

// act decides what is launched and terminated now. paired is how many of the terminated ones have a replacement that is ready.
func (p Preferences) act(s Progress, v view, f Fleet) (act Actions, paired int) {
	if f.Paused != "" {
		return Actions{}, 0
	}
	least, most := p.Bounds(f.Desired)
	budget := p.budget(s, v, f)
	if p.InPlace {
		return Actions{Replace: v.pick(v.available-least, budget)}, 0
	}
	for _, in := range v.old {
		if in.Phase == Standby { // is no capacity, so that nothing replaces it
			act.Terminate = append(act.Terminate, in.ID)
		}
	}
	surplus := max(0, v.count-f.Desired)
	quota := surplus
	if f.Refused == "" { // nothing is terminated for which no replacement can be launched
		quota += budget
	}
	gone := v.pick(v.available-least, quota)
	act.Terminate = append(act.Terminate, gone...)
	paired = min(len(gone), surplus)
	if f.Refused != "" {
		return act, paired
	}
	act.Launch = len(gone) - paired
	count := v.count - len(gone) + act.Launch
	old := v.serving() - len(gone)
	ahead := min(most-max(count, f.Desired), old-max(0, count-f.Desired), budget-act.Launch)
	act.Launch += max(0, ahead)
	return act, paired
}

// serving returns how many of the old ones are capacity.
func (v *view) servingOld() []Instance {
	var all []Instance
	for _, in := range v.old {
		if in.Phase != Standby {
			all = append(all, in)
		}
	}
	return all
}

func (v *view) serving() int { return len(v.servingOld()) }

// pick returns at most quota of the old instances in service or pending whose end takes at most spare from the healthy capacity.
func (v *view) pick(spare, quota int) []string {
	var ids []string
	for _, in := range v.servingOld() {
		if len(ids) >= quota {
			break
		}
		if c := cost(in); c <= max(0, spare) {
			spare -= c
			ids = append(ids, in.ID)
		}
	}
	return ids
}

// budget returns how many replacements more may be begun before the next checkpoint.
func (p Preferences) budget(s Progress, v view, f Fleet) int {
	if f.Now.Before(s.Resume) {
		return 0
	}
	target := f.Desired
	if c := p.nextCheckpoint(s); c < 100 {
		target = (c*f.Desired + 99) / 100
	}
	begun := v.ready + len(v.fresh) + v.replacing + max(0, f.Desired-v.count)
	return max(0, min(target-begun, v.serving()))
}

// nextCheckpoint is the percentage up to which instances are replaced now: 100 where there are no checkpoints, or in a rollback, which has none.
func (p Preferences) nextCheckpoint(s Progress) int {
	if s.Rollback != nil || len(p.Checkpoints) == 0 {
		return 100
	}
	for _, c := range p.Checkpoints {
		if c > s.Checkpoint {
			return c
		}
	}
	return s.Checkpoint
}

// passed returns the highest checkpoint that a share of new instances has reached. Documented: the lower ones are skipped.
func (p Preferences) passed(share int) int {
	reached := 0
	for _, c := range p.Checkpoints {
		if c <= share {
			reached = c
		}
	}
	return reached
}

// reach notes a checkpoint that was reached, and the delay after it. Documented: when a group has grown, a checkpoint can be reached again; there
// is no wait at 100 %.
func (p Preferences) reach(s Progress, v view, f Fleet) Progress {
	if s.Rollback != nil || len(p.Checkpoints) == 0 {
		return s
	}
	reached := p.passed(v.share(f.Desired))
	if f.Desired > s.Size {
		s.Checkpoint = min(s.Checkpoint, reached)
	}
	s.Size = f.Desired
	if reached > s.Checkpoint {
		s.Checkpoint = reached
		if reached < p.Checkpoints[len(p.Checkpoints)-1] {
			s.Resume = f.Now.Add(p.CheckpointDelay)
		}
	}
	if f.Now.Before(s.Resume) {
		s.Moved = f.Now
	}
	return s
}

// enough reports whether the last checkpoint was reached; what it leaves is not replaced.
func (p Preferences) enough(s Progress) bool {
	return s.Rollback == nil && len(p.Checkpoints) > 0 && s.Checkpoint == p.Checkpoints[len(p.Checkpoints)-1]
}

// share returns which percentage of the group is new and ready, with nothing old in its place.
func (v *view) share(desired int) int {
	if desired == 0 {
		return 100
	}
	return max(0, min(desired, desired-v.ignored-v.left(desired))) * 100 / desired
}

// count sets the figures that are told. Recorded with one instance: a replacement in service counts as a quarter of its way, and as half of it in
// a rollback, which counts down to nothing; the termination of the old one as half; what is left to update counts up in a rollback.
func (s Progress) count(v view, paired, left int) Progress {
	warming := 0
	for _, in := range v.fresh {
		if in.Phase == InService {
			warming++
		}
	}
	warming = min(warming, left-paired)
	quarter := 25
	if s.Rollback != nil {
		quarter = 50
	}
	share := 0
	if s.Total > 0 {
		share = ((s.Total-left)*100 + paired*50 + warming*quarter) / s.Total
	} else if left == 0 {
		share = 100
	}
	if b := s.Rollback; b != nil {
		s.Percent = min(s.Percent, b.Percent-b.Percent*share/100)
		s.ToUpdate = max(s.ToUpdate, b.ToUpdate+s.Total-left+paired+warming)
		return s
	}
	s.Percent, s.ToUpdate = max(s.Percent, share), left
	return s
}

// secondsLeft rounds down, as recorded.
func secondsLeft(until, now time.Time) int { return max(0, int(until.Sub(now).Seconds())) }
