package kit_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func TestIdentifiersLookLikeThoseOfEC2(t *testing.T) {
	if id := kit.ID("ami"); !regexp.MustCompile(`^ami-0[0-9a-f]{16}$`).MatchString(id) {
		t.Errorf("ID = %s", id)
	}
	if id := kit.UUID(); !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("UUID = %s", id)
	}
	if a, b, c, d := kit.ID("i"), kit.ID("i"), kit.UUID(), kit.UUID(); a == b || c == d {
		t.Error("two identifiers are the same")
	}
}

func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code || e.Message != message {
		t.Errorf("error = %v, want %s: %s", err, code, message)
	}
}

func numbers(n int) []string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("%03d", i)
	}
	return items
}

// Recorded: a following request may ask for another number of items, or for none, and then gets all that are left.
func TestFollowingPagesMayHaveAnotherSize(t *testing.T) {
	items := numbers(12)
	p := kit.Page{Max: aws.Int32(5), Min: 5, Limit: 1000, Scope: "a"}
	first, next, err := kit.Paginate(items, p)
	if err != nil || next == nil || !slices.Equal(first, items[:5]) {
		t.Fatalf("first page %v, %v, %v", first, next, err)
	}
	p.Max, p.Token = aws.Int32(6), next
	second, next, err := kit.Paginate(items, p)
	if err != nil || next == nil || !slices.Equal(second, items[5:11]) {
		t.Fatalf("second page %v, %v, %v", second, next, err)
	}
	p.Max = nil
	if rest, last, err := kit.Paginate(items, p); err != nil || last != nil || !slices.Equal(rest, items[5:]) {
		t.Errorf("the rest %v, %v, %v", rest, last, err)
	}
	p.Token = next
	if rest, last, err := kit.Paginate(items[:2], p); err != nil || last != nil || len(rest) != 0 {
		t.Errorf("after the resources are gone: %v, %v, %v", rest, last, err)
	}
}

func TestTokensAreBoundToTheirScope(t *testing.T) {
	p := kit.Page{Max: aws.Int32(1), Scope: "DescribeSubnets/eu-west-1/111122223333"}
	_, one, _ := kit.Paginate(numbers(3), p)
	_, other, _ := kit.Paginate(numbers(3), p)
	if *one == *other {
		t.Error("the same request got the same token twice")
	}
	altered := "A" + (*one)[1:]
	if (*one)[0] == 'A' {
		altered = "B" + (*one)[1:]
	}
	for _, token := range []string{"garbage", altered, *one + "AAAA", kit.Seal("other", "at:1"), kit.Seal(p.Scope, "1"), kit.Seal(p.Scope, "at:x")} {
		p.Token = &token
		_, _, err := kit.Paginate(numbers(3), p)
		wantError(t, err, "InvalidParameterValue", "invalid value for parameter next-token: "+token)
	}
	p.Token, p.BadToken = aws.String("garbage"), wire.Errorf("InvalidNextToken", "no")
	_, _, err := kit.PaginateBy(numbers(3), func(s string) string { return s }, p)
	wantError(t, err, "InvalidNextToken", "no")
}

func TestPageSizesOutOfRangeAreRefused(t *testing.T) {
	for max, message := range map[int32]string{
		1:    "Invalid value '1' for maxResults. Expecting a value greater than 5.",
		1001: "Invalid value '1001' for maxResults. Expecting a value less than 1000.",
	} {
		_, _, err := kit.Paginate(numbers(3), kit.Page{Max: &max, Min: 5, Limit: 1000})
		wantError(t, err, "InvalidParameterValue", message)
	}
	page, next, err := kit.Paginate(numbers(3), kit.Page{Default: 2})
	if err != nil || next == nil || len(page) != 2 {
		t.Errorf("the default: %v, %v, %v", page, next, err)
	}
}

func TestPagesAndIdentifiersExcludeEachOther(t *testing.T) {
	err := kit.Page{Token: aws.String("x")}.WithoutIDs("securityGroupIdSet", 1)
	wantError(t, err, "InvalidParameterCombination", "The parameter securityGroupIdSet cannot be used with the parameter nextToken")
	err = kit.Page{Max: aws.Int32(5)}.WithoutIDs("imageIdsSet", 2)
	wantError(t, err, "InvalidParameterCombination", "The parameter imageIdsSet cannot be used with the parameter maxResults")
	if err := (kit.Page{Max: aws.Int32(5)}).WithoutIDs("imageIdsSet", 0); err != nil {
		t.Error(err)
	}
	if err := (kit.Page{Token: aws.String("")}).WithoutIDs("imageIdsSet", 1); err != nil {
		t.Error(err)
	}
}

// Items that are there from the first to the last page come exactly once, whatever comes and goes meanwhile.
func TestPagesByKeyMissNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		here := map[string]bool{}
		stays := map[string]bool{}
		for _, k := range rapid.SliceOfDistinct(rapid.IntRange(0, 60), func(i int) int { return i }).Draw(t, "keys") {
			here[strconv.Itoa(k)] = true
			if k%2 == 0 {
				stays[strconv.Itoa(k)] = true
			}
		}
		seen := map[string]int{}
		p := kit.Page{Scope: "s"}
		for {
			p.Max = aws.Int32(rapid.Int32Range(1, 5).Draw(t, "max"))
			items := sortedKeys(here)
			page, next, err := kit.PaginateBy(items, func(s string) string { return s }, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page {
				seen[item]++
			}
			if next == nil {
				break
			}
			p.Token = next
			change := strconv.Itoa(rapid.IntRange(0, 30).Draw(t, "change")*2 + 1)
			if here[change] {
				delete(here, change)
			} else {
				here[change] = true
			}
		}
		for k := range stays {
			if seen[k] != 1 {
				t.Fatalf("%s came %d times", k, seen[k])
			}
		}
		for k, n := range seen {
			if n > 1 {
				t.Fatalf("%s came %d times", k, n)
			}
		}
	})
}

func sortedKeys(m map[string]bool) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func FuzzOpen(f *testing.F) {
	f.Add("scope", "token")
	f.Add("scope", kit.Seal("scope", "body"))
	f.Fuzz(func(t *testing.T, scope, token string) {
		if body, ok := kit.Open(scope, kit.Seal(scope, token)); !ok || body != token {
			t.Errorf("Open(Seal(%q)) = %q, %v", token, body, ok)
		}
		if body, ok := kit.Open(scope+"x", token); ok {
			t.Errorf("opened %q to %q", token, body)
		}
	})
}

func TestMatch(t *testing.T) {
	attr := func(name string) ([]string, bool) {
		switch name {
		case "name":
			return []string{"web-1.2*"}, true
		case "none":
			return nil, true
		case "many":
			return []string{"a", "b"}, true
		}
		return nil, false
	}
	filter := func(name string, values ...string) ec2types.Filter {
		return ec2types.Filter{Name: &name, Values: values}
	}
	for _, test := range []struct {
		filters []ec2types.Filter
		want    bool
	}{
		{nil, true},
		{[]ec2types.Filter{filter("name", "web-1.2*")}, true},
		{[]ec2types.Filter{filter("name", "web-1.3*")}, false},
		{[]ec2types.Filter{filter("name", "no", "web*")}, true},
		{[]ec2types.Filter{filter("name", "*")}, true},
		{[]ec2types.Filter{filter("name", "w?b-*2?")}, true},
		{[]ec2types.Filter{filter("name", `web-1.2\*`)}, true},
		{[]ec2types.Filter{filter("name", `web-1\*`)}, false},
		{[]ec2types.Filter{filter("name", "WEB*")}, false},
		{[]ec2types.Filter{filter("name", "")}, false},
		{[]ec2types.Filter{filter("name", `web-1.2\*?`)}, false},
		{[]ec2types.Filter{filter("none", "*")}, false},
		{[]ec2types.Filter{filter("many", "b")}, true},
		{[]ec2types.Filter{filter("many", "b"), filter("name", "x")}, false},
		{[]ec2types.Filter{filter("many")}, false},
	} {
		if got, err := kit.Match(test.filters, attr); err != nil || got != test.want {
			t.Errorf("Match(%v) = %v, %v", test.filters, got, err)
		}
	}
	_, err := kit.Match([]ec2types.Filter{filter("name", "no"), filter("garbage", "x")}, attr)
	wantError(t, err, "InvalidParameterValue", "The filter 'garbage' is invalid")
	_, err = kit.Match([]ec2types.Filter{{}}, attr)
	wantError(t, err, "InvalidParameterValue", "The filter 'null' is invalid")
	_, err = kit.Match([]ec2types.Filter{filter("name", numbers(150)...), filter("many", numbers(51)...)}, attr)
	wantError(t, err, "FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
}

// A pattern without a metacharacter matches itself only, and stars around any part of a value match the value.
func TestStarsStandForAnything(t *testing.T) {
	word := rapid.StringMatching(`[a-c*]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		s := word.Draw(t, "value")
		from := rapid.IntRange(0, len(s)).Draw(t, "from")
		to := rapid.IntRange(from, len(s)).Draw(t, "to")
		escaped := strings.ReplaceAll(s[from:to], "*", `\*`)
		got, err := kit.Match([]ec2types.Filter{{Name: aws.String("n"), Values: []string{"*" + escaped + "*"}}},
			func(string) ([]string, bool) { return []string{s}, true })
		if err != nil || !got {
			t.Fatalf("*%s* does not match %q", escaped, s)
		}
	})
}

func tag(key, value string) ec2types.Tag { return ec2types.Tag{Key: &key, Value: &value} }

func TestTagsOfNewResources(t *testing.T) {
	specs := []ec2types.TagSpecification{
		{ResourceType: ec2types.ResourceTypeImage, Tags: []ec2types.Tag{tag("b", "1"), tag("a", "2")}},
		{ResourceType: ec2types.ResourceTypeSnapshot, Tags: []ec2types.Tag{tag("c", "3")}},
	}
	got := kit.TagsFor(specs, ec2types.ResourceTypeImage)
	if len(got) != 2 || *got[0].Key != "a" || *got[1].Value != "1" {
		t.Errorf("TagsFor = %v", got)
	}
	if kit.TagsFor(specs, ec2types.ResourceTypeVolume) != nil {
		t.Error("tags of a volume")
	}
	if err := kit.CheckTagSpecs(specs, ec2types.ResourceTypeImage, ec2types.ResourceTypeSnapshot); err != nil {
		t.Error(err)
	}
	err := kit.CheckTagSpecs(specs, ec2types.ResourceTypeImage)
	wantError(t, err, "InvalidParameterValue", "'snapshot' is not a valid taggable resource type for this operation.")
}

func TestTagsThatNobodyMayGive(t *testing.T) {
	for code, tags := range map[string][]ec2types.Tag{
		"TagLimitExceeded": make([]ec2types.Tag, 51),
		"InvalidParameterValue: Tag keys starting with 'aws:' are reserved for internal use": {tag("AWS:x", "")},
		"InvalidParameterValue: Duplicate tag key 'x' specified.":                            {tag("x", ""), tag("x", "1")},
		"InvalidParameterValue: Tag value exceeds":                                           {tag("x", strings.Repeat("ä", 257))},
		"InvalidParameterValue: Tag key exceeds":                                             {tag(strings.Repeat("ä", 129), "")},
		"InvalidParameterValue: Tag key exceeds the maximum length of 128":                   {{}},
	} {
		if err := kit.CheckTags(tags); err == nil || !strings.HasPrefix(err.Error(), code) {
			t.Errorf("error = %v, want %s", err, code)
		}
	}
	if err := kit.CheckTags([]ec2types.Tag{tag(strings.Repeat("ä", 128), strings.Repeat("ä", 256))}); err != nil {
		t.Error(err)
	}
}

func TestTagFilters(t *testing.T) {
	tags := kit.MergeTags([]ec2types.Tag{tag("Name", "web"), tag("x", "1")}, []ec2types.Tag{tag("x", "2")})
	for name, want := range map[string][]string{"tag:Name": {"web"}, "tag:x": {"2"}, "tag:y": nil, "tag-key": {"Name", "x"}} {
		if got, ok := kit.TagFilter(tags, name); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	if _, ok := kit.TagFilter(tags, "tag-value"); ok {
		t.Error("tag-value")
	}
}

func TestOnce(t *testing.T) {
	store := state.New(clock.NewVirtual(time.Unix(0, 0)))
	call := &wire.Call{Account: "111122223333", Operation: "CopyImage"}
	made := 0
	once := func(c *wire.Call, in *ec2.CopyImageInput, mismatch *wire.Error, fail error) (answer string, replayed bool, err error) {
		err = store.Update("r", func(r *state.Region) error {
			answer, replayed, err = kit.Once(r, c, in.ClientToken, in, mismatch, func() (string, error) {
				made++
				return strconv.Itoa(made), fail
			})
			return err
		})
		return answer, replayed, err
	}
	in := func(name string) *ec2.CopyImageInput {
		return &ec2.CopyImageInput{ClientToken: aws.String("t"), Name: &name}
	}
	refused := errors.New("refused")
	if _, _, err := once(call, in("a"), nil, refused); !errors.Is(err, refused) {
		t.Errorf("the error of the work: %v", err)
	}
	if answer, replayed, err := once(call, in("a"), nil, nil); answer != "2" || replayed || err != nil {
		t.Errorf("first: %s, %v, %v", answer, replayed, err)
	}
	if answer, replayed, err := once(call, in("a"), nil, nil); answer != "2" || !replayed || err != nil {
		t.Errorf("again: %s, %v, %v", answer, replayed, err)
	}
	dry := in("a")
	dry.DryRun = aws.Bool(true)
	if answer, replayed, err := once(call, dry, nil, nil); answer != "2" || !replayed || err != nil {
		t.Errorf("again: %s, %v, %v", answer, replayed, err)
	}
	_, _, err := once(call, in("b"), nil, nil)
	wantError(t, err, "IdempotentParameterMismatch", "Client token already used before.")
	_, _, err = once(call, in("b"), wire.Errorf("Other", "text"), nil)
	wantError(t, err, "Other", "text")
	other := *call
	other.Account = "444455556666"
	if answer, replayed, err := once(&other, in("b"), nil, nil); answer != "3" || replayed || err != nil {
		t.Errorf("another account: %s, %v, %v", answer, replayed, err)
	}
	for want := 4; want < 6; want++ {
		if answer, replayed, err := once(call, &ec2.CopyImageInput{}, nil, nil); answer != strconv.Itoa(want) || replayed || err != nil {
			t.Errorf("without a token: %s, %v, %v", answer, replayed, err)
		}
	}
}
