package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a freeze means the same on a machine that has no time zones installed

	"github.com/iibake/iibake/bake"
)

// Channel is a movable name for one image of each template.
type Channel struct {
	After     string        `yaml:"after" format:"name" example:"staging" doc:"channel that an image must have been in before"`
	Age       bake.Duration `yaml:"age" example:"24h" doc:"how long it must have been in the channel that after names"`
	Approvals int           `yaml:"approvals" min:"1" max:"100" example:"1" doc:"how many people must agree"`
	NotAuthor bool          `yaml:"not_author" doc:"the agreement of who baked the image, or wrote its commit, does not count"`
	Freeze    []Freeze      `yaml:"freeze" example:"{ from: 'Fri 16:00', until: 'Mon 08:00' }" doc:"when the channel does not move"`
	Waves     [][]string    `yaml:"waves" format:"name" example:"web-canary" doc:"fleets that follow the channel, in groups that move together"`
	Soak      bake.Duration `yaml:"soak" example:"15m" doc:"how long to watch after each wave"`
	MaxAge    bake.Duration `yaml:"max_age" min:"1m" example:"30d" doc:"age of the image in the channel from which on status complains"`
	Parameter string        `yaml:"parameter" format:"parameter" example:"/images/{image}/production" doc:"SSM parameter that is an alias of the channel; {image} stands for the name of the image"`
}

// Freeze is a time in which a channel does not move: once, or every week.
type Freeze struct {
	From   bake.Moment `yaml:"from" required:"true" example:"2026-12-20 18:00" doc:"when it begins: a date and a time, or, for every week, a day and a time as Fri 16:00"`
	Until  bake.Moment `yaml:"until" required:"true" example:"2027-01-04 08:00" doc:"when it ends, written as from is"`
	Zone   string      `yaml:"zone" default:"UTC" format:"zone" example:"Europe/Berlin" doc:"time zone whose clocks count"`
	Reason string      `yaml:"reason" format:"line" example:"holidays" doc:"what is said to who wants to move the channel"`
}

func (p *Project) checkChannel(d *decoder, name string) {
	c, path := p.Channels[name], "channels."+name
	if c.After != "" {
		p.checkAfter(d, name, c.After)
	}
	if c.Age > 0 && c.After == "" {
		d.failOnce(path+".age", "age has no effect without after", "add after, or remove it")
	}
	if c.NotAuthor && c.Approvals == 0 {
		d.failOnce(path+".not_author", "not_author has no effect without approvals", "add approvals, or remove it")
	}
	if name == Candidate {
		p.checkCandidate(d, path)
	}
	for i, f := range c.Freeze {
		checkFreeze(d, path+".freeze["+strconv.Itoa(i)+"]", f)
	}
	p.checkWaves(d, name)
}

// checkCandidate refuses what would keep an image that passed its tests out of candidate, where nobody sees to it.
func (p *Project) checkCandidate(d *decoder, path string) {
	for _, key := range []string{"approvals", "freeze", "waves", "soak", "parameter"} {
		if _, ok := d.given[path+"."+key]; ok {
			d.failOnce(path+"."+key, "an image enters candidate by passing its tests, and nothing else", "move "+key+" to a channel of its own that comes after candidate")
		}
	}
}

func (p *Project) checkWaves(d *decoder, name string) {
	path := "channels." + name + ".waves"
	seen := map[string]bool{}
	for i, wave := range p.Channels[name].Waves {
		if len(wave) == 0 {
			d.failOnce(path+"["+strconv.Itoa(i)+"]", "a wave without fleets", "write the names of fleets, or remove it")
		}
		for j, fleet := range wave {
			at := path + "[" + strconv.Itoa(i) + "][" + strconv.Itoa(j) + "]"
			if _, ok := p.Fleets[fleet]; !ok && fleet != "" {
				d.failOnce(at, "no fleet is named "+quote(fleet), didYouMean(fleet, sortedKeys(p.Fleets), "declare it under fleets"))
			}
			if seen[fleet] {
				d.failOnce(at, "the fleet "+quote(fleet)+" is in the waves twice", "keep one of them")
			} else if other := p.follows(fleet, name); other != "" {
				d.failOnce(at, "the fleet "+quote(fleet)+" follows "+other+" already", "let it follow one channel")
			}
			seen[fleet] = true
		}
	}
}

// follows returns the first channel before one, by their names, that a fleet follows, too.
func (p *Project) follows(fleet, channel string) string {
	for _, name := range sortedKeys(p.Channels) {
		if name >= channel {
			break
		}
		if slices.ContainsFunc(p.Channels[name].Waves, func(wave []string) bool { return slices.Contains(wave, fleet) }) {
			return name
		}
	}
	return ""
}

func checkFreeze(d *decoder, path string, f Freeze) {
	if _, err := time.LoadLocation(f.Zone); err != nil || f.Zone == "Local" {
		d.failOnce(path+".zone", "no time zone is named "+quote(f.Zone), "write one as Europe/Berlin or UTC")
	}
	begins, ends := f.From.Date.Add(time.Duration(f.From.Minute)*time.Minute), f.Until.Date.Add(time.Duration(f.Until.Minute)*time.Minute)
	switch none := (bake.Moment{}); {
	case f.From == none || f.Until == none: // the decoder has said so
	case f.From.Weekly != f.Until.Weekly:
		d.failOnce(path+".until", fmt.Sprintf("the freeze goes from %s until %s", f.From, f.Until), "write two dates, or two days of the week")
	case f.From.Weekly && f.From == f.Until:
		d.failOnce(path+".until", "the freeze never ends", "let it end at another time than it begins")
	case !f.From.Weekly && !begins.Before(ends):
		d.failOnce(path+".until", fmt.Sprintf("the freeze ends at %s, before it begins", f.Until), "write a later time than "+f.From.String())
	}
}

// checkAfter follows the channels before a channel: they must exist and come to an end.
func (p *Project) checkAfter(d *decoder, name, after string) {
	at := "channels." + name + ".after"
	if name == Candidate {
		d.failOnce(at, "an image enters candidate by passing its tests, not from another channel", "remove after")
		return
	}
	if _, ok := p.Channels[after]; !ok {
		d.failOnce(at, "no channel is named "+quote(after), didYouMean(after, sortedKeys(p.Channels), "declare it under channels"))
		return
	}
	circle := []string{name}
	for before := after; before != "" && len(circle) <= len(p.Channels); before = p.Channels[before].After {
		if circle = append(circle, before); before == name && name == slices.Min(circle) { // each circle once
			d.failOnce(at, "channels go round in a circle: "+strings.Join(circle, " → "), "let one of them come after nothing")
			return
		}
	}
}

// checkParameters refuses a parameter that several images would fight for.
func (l *loader) checkParameters(p *Project) {
	for _, name := range sortedKeys(p.Channels) {
		parameter := p.Channels[name].Parameter
		if name != Candidate && parameter != "" && !strings.Contains(parameter, "{image}") && len(p.Images) > 1 {
			l.fail(l.given[projectFile].at("channels."+name+".parameter"), fmt.Sprintf("the %d images of the project would share it", len(p.Images)),
				"write {image} where the name of the image belongs")
		}
	}
}
