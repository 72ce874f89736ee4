package ssm_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// model is what a parameter should be: values by version, and which version a label is at.
type model struct {
	name   string
	values []string
	labels map[string]int
}

// Whatever is put, labelled, unlabelled and deleted: a reference means what a list of values and a map of labels say.
func TestReferencesMeanWhatWasPut(t *testing.T) {
	t.Parallel()
	w, runs := newWorld(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &model{name: fmt.Sprint("/web/ami-", runs), labels: map[string]int{}}
		acts := map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				value := rapid.StringMatching(`[a-zü<&" ]{1,6}`).Draw(rt, "value")
				v, err := w.put(m.name, value)
				m.values = append(m.values, value)
				if err != nil || v != int64(len(m.values)) {
					rt.Fatalf("version %d %v, want %d", v, err, len(m.values))
				}
			},
			"label":   func(rt *rapid.T) { m.label(rt, w) },
			"unlabel": func(rt *rapid.T) { m.unlabel(rt, w) },
			"delete": func(rt *rapid.T) {
				_, err := w.client.DeleteParameter(t.Context(), &awsssm.DeleteParameterInput{Name: &m.name})
				if (err == nil) != (len(m.values) > 0) {
					rt.Fatal(err)
				}
				*m = model{name: m.name, labels: map[string]int{}}
			},
		}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			acts[rapid.SampledFrom([]string{"put", "put", "put", "label", "label", "unlabel", "delete"}).Draw(rt, "act")](rt)
			m.compare(rt, w)
		}
	})
}

func (m *model) label(rt *rapid.T, w *world) {
	version := rapid.IntRange(1, 4).Draw(rt, "version")
	labels := rapid.SliceOfN(rapid.SampledFrom([]string{"live", "old", "9bad", "aws-no", "a b"}), 1, 3).Draw(rt, "labels")
	out, err := w.client.LabelParameterVersion(w.Context(), &awsssm.LabelParameterVersionInput{Name: &m.name, ParameterVersion: aws.Int64(int64(version)), Labels: labels})
	if version > len(m.values) {
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != "ParameterVersionNotFound" && e.ErrorCode() != "ParameterNotFound" {
			rt.Fatal(err)
		}
		return
	}
	bad := 0
	for _, l := range labels {
		if l == "live" || l == "old" {
			m.labels[l] = version
		} else {
			bad++
		}
	}
	if err != nil || len(out.InvalidLabels) != bad || out.ParameterVersion != int64(version) {
		rt.Fatalf("%+v %v", out, err)
	}
}

func (m *model) unlabel(rt *rapid.T, w *world) {
	if len(m.values) == 0 {
		return
	}
	version, label := rapid.IntRange(1, len(m.values)).Draw(rt, "version"), rapid.SampledFrom([]string{"live", "old"}).Draw(rt, "label")
	out, err := w.client.UnlabelParameterVersion(w.Context(), &awsssm.UnlabelParameterVersionInput{Name: &m.name, ParameterVersion: aws.Int64(int64(version)), Labels: []string{label}})
	there := m.labels[label] == version
	if err != nil || there != (len(out.RemovedLabels) == 1) || there != (len(out.InvalidLabels) == 0) {
		rt.Fatalf("%+v %v", out, err)
	}
	if there {
		delete(m.labels, label)
	}
}

func (m *model) compare(rt *rapid.T, w *world) {
	want := map[string]string{m.name: "ParameterNotFound", m.name + ":live": "ParameterNotFound", m.name + ":2": "ParameterNotFound"}
	if n := len(m.values); n > 0 {
		want = map[string]string{m.name: m.shown(n), m.name + ":live": m.shown(m.labels["live"]), m.name + ":2": m.shown(2)}
	}
	for _, reference := range slices.Sorted(maps.Keys(want)) {
		if got := w.get(reference); got != want[reference] {
			rt.Fatalf("%s is %q, want %q", reference, got, want[reference])
		}
	}
}

func (m *model) shown(version int) string {
	if version < 1 || version > len(m.values) {
		return "ParameterVersionNotFound"
	}
	return fmt.Sprintf("%s v%d", m.values[version-1], version)
}

// Documented: an account has 10,000 standard parameters; advanced ones, those of others and new versions of what is there do not count.
func TestTheNumberOfParametersIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.update(func(r *state.Region) {
		for i := range 10000 {
			name := fmt.Sprintf("p%d", i)
			r.Parameters.Put(state.Key(account, name), &state.Parameter{Account: account, Name: name, Versions: []state.ParameterVersion{{Version: 1, Type: "String", Tier: "Standard", Value: "v"}}, Counter: 1})
		}
	})
	_, err := w.put("one-more", "v")
	wantError(t, err, "ParameterLimitExceeded", "You have exceeded the number of parameters for this Amazon Web Services account. Delete one or more parameters and try again.")
	_, err = w.put("p1", "w")
	w.must(err)
	_, err = w.put("advanced", "v", func(in *awsssm.PutParameterInput) { in.Tier = types.ParameterTierAdvanced })
	w.must(err)
	_, err = w.other.PutParameter(t.Context(), &awsssm.PutParameterInput{Name: aws.String("theirs"), Value: aws.String("v"), Type: types.ParameterTypeString})
	w.must(err)
	_, err = w.client.DeleteParameter(t.Context(), &awsssm.DeleteParameterInput{Name: aws.String("p2")})
	w.must(err)
	_, err = w.put("one-more", "v")
	w.must(err)
}

// Two values of images are on their way at once: both get a number, and the one that was put last wins.
func TestTwoImagesOnTheirWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addImage(account, "available")
	w.update(func(r *state.Region) {
		second := *r.Images.Get(image)
		second.ImageId = aws.String("ami-0fedcba9876543210")
		r.Images.Put("ami-0fedcba9876543210", &second)
	})
	for i, value := range []string{image, "ami-00000000000000001", "ami-0fedcba9876543210"} {
		v, err := w.put("/ami", value, asImage)
		w.must(err)
		if v != int64(i+1) {
			t.Errorf("version %d", v)
		}
	}
	w.clock.Advance(60e9)
	w.wantGet("/ami", "ami-0fedcba9876543210 v3")
	w.wantGet("/ami:1", image+" v1")
	w.wantGet("/ami:2", "ParameterVersionNotFound")
}

// Values come back as they are, byte by byte, up to the limit.
func TestValuesComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, value := range []string{" ", "\n", "a\r\nb\t", `{"a": "<b>&amp;\u0000"}`, "grüße 你好 🙂", strings.Repeat("x", 4096), "{ {", "\u2028\ufeff"} {
		_, err := w.put("v", value)
		w.must(err)
		out, err := w.client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String("v")})
		w.must(err)
		if *out.Parameter.Value != value {
			t.Errorf("%q came back as %q", value, *out.Parameter.Value)
		}
	}
}
