package survey_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/survey"
)

// emptyFirst answers each listing with an empty page before the page that there is, as AWS does that counts what it looks through before it filters.
type emptyFirst struct{ next http.RoundTripper }

func (e emptyFirst) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	empty := map[string]string{
		"DescribeLaunchTemplates":   `<launchTemplates></launchTemplates><nextToken>more</nextToken>`,
		"DescribeImages":            `<imagesSet></imagesSet><nextToken>more</nextToken>`,
		"DescribeAutoScalingGroups": `<DescribeAutoScalingGroupsResult><AutoScalingGroups></AutoScalingGroups><NextToken>more</NextToken></DescribeAutoScalingGroupsResult>`,
	}[form.Get("Action")]
	if empty != "" && form.Get("NextToken") == "" {
		name := form.Get("Action") + "Response"
		text := "<" + name + ">" + empty + "</" + name + ">"
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)),
		}, nil
	}
	form.Del("NextToken")
	r = r.Clone(r.Context())
	body = []byte(form.Encode())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return e.next.RoundTrip(r)
}

// A page that has nothing is not the end.
func TestPagesThatAreEmpty(t *testing.T) {
	w := newWorld(t)
	p := w.add("111122223333", "eu-west-1")
	w.group(p, "web", 1)
	w.advance(time.Minute)
	w.through = emptyFirst{w.through}
	v := survey.Surveyor{Open: target.NewSet(w.specs, w.options()).Get}
	got := v.Survey(t.Context(), []promote.Ask{{Target: p.Name, Groups: []string{"web"}}})[0]
	if len(got.Gaps) > 0 || len(got.Groups) != 1 {
		t.Fatalf("got %+v", got)
	}
	if info := got.Templates[p.template]; info.Name != "web" || info.Latest != "1" {
		t.Errorf("templates: %+v", got.Templates)
	}
	if !got.AMIs[p.amis[0]] {
		t.Errorf("AMIs: %+v", got.AMIs)
	}
}
