package promote_test

import (
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// A record may be of a cloud that was thrown away: what a parameter should hold is an AMI that was seen now.
func TestWhatAParameterShouldHold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seen map[string]bool
		want string
	}{
		"the first record is over": {map[string]bool{ami(1): false, "ami-new": true}, "ami-new"},
		"only the first was seen":  {map[string]bool{ami(1): true}, ami(1)},
		"own before shared":        {map[string]bool{ami(1): true, "ami-shared": true}, ami(1)},
		"only a shared one":        {map[string]bool{"ami-shared": true}, "ami-shared"},
		"none exists":              {map[string]bool{ami(1): false, "ami-new": false}, ""},
		"nobody looked":            {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			w.rule.Parameter, w.survey.Parameters, w.survey.AMIs = "/web", map[string]string{}, c.seen
			for ami, account := range map[string]string{"ami-new": "111122223333", "ami-shared": "444455556666"} {
				a := bake.Artifact{Image: watchedRef(1), Account: account, Region: "eu-west-1", AMI: ami, At: watchTime}
				w.must(bake.NewArtifacts(w.catalog).Record(t.Context(), a))
			}
			s := w.look()
			w.expect(s, "alias")
			if got := s.Drift[0].AMI; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A group that is missing is missed by its channel, whoever asks for that alone.
func TestAGroupThatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	w.fleet("one", nil, 1)
	delete(w.survey.Groups, "one")
	s := w.look()
	w.expect(s, "missing")
	if d := s.Drift[0]; d.Channel != "production" || d.Image != "web" || d.Fleet != "one" || d.Want == nil || *d.Want != watchedRef(1) {
		t.Errorf("got %+v", d)
	}
}

// Another build of a revoked candidate's sources is the same image: that alone does not help.
func TestARevokedCandidate(t *testing.T) {
	t.Parallel()
	for ch, want := range map[promote.Channel]string{
		promote.Candidate: "change the template or its files, commit and build it; or refresh what it is built from",
		"production":      "go back to an earlier image, or promote a newer one",
	} {
		w := newWatched(t)
		_, err := promote.NewChannels(w.catalog).Move(t.Context(), promote.Promotion{Channel: promote.Candidate, To: watchedRef(1), By: "ada", At: watchTime})
		w.must(err)
		w.rule.Channel = ch
		w.must(promote.NewRevocations(w.catalog).Record(t.Context(), promote.Revocation{Image: watchedRef(1), At: watchTime, Reason: "CVE"}))
		s := w.look()
		w.expect(s, "revoked")
		if s.Drift[0].Remedy != want {
			t.Errorf("%s: %s", ch, s.Drift[0].Remedy)
		}
	}
}
