package ssm_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/test/localcloud/internal/ssm"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, value := range []string{"a", "b", "c"} {
		v, err := w.put("/web/ami", value)
		w.must(err)
		if v != int64(i+1) {
			t.Errorf("version %d, want %d", v, i+1)
		}
	}
	w.wantGet("/web/ami", "c v3")
	w.wantGet("/web/ami:2", "b v2")
	w.wantGet("arn:aws:ssm:eu-west-1:111122223333:parameter/web/ami:1", "a v1")
	w.wantGet("/web/ami:4", "ParameterVersionNotFound")
	w.wantGet("/web/ami:live", "ParameterVersionNotFound")
	w.wantGet("/web/none", "ParameterNotFound")
	w.wantGet("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "ParameterNotFound")
	w.wantGet("arn:aws:ssm:eu-west-1:999988887777:parameter/web/ami", "ParameterNotFound")
	_, err := w.put("/web/ami", "d", first)
	wantError(t, err, "ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	_, err = w.other.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String("/web/ami")})
	wantError(t, err, "ParameterNotFound", "")
}

func TestPutRefusals(t *testing.T) {
	t.Parallel()
	type in = *awsssm.PutParameterInput
	for name, c := range map[string]struct {
		change     func(in)
		code, text string
	}{
		"no type":          {func(in in) { in.Type = "" }, "ValidationException", "A parameter type is required when you create a parameter."},
		"bad type":         {func(in in) { in.Type = "Number" }, "ValidationException", ""},
		"no value":         {func(in in) { in.Value = aws.String("") }, "ValidationException", ""},
		"nested":           {func(in in) { in.Value = aws.String("{{ssm:x}}") }, "ValidationException", "Parameter value: can't contain"},
		"aws name":         {func(in in) { in.Name = aws.String("awsome") }, "ValidationException", `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`},
		"aws path":         {func(in in) { in.Name = aws.String("/AWS/x") }, "AccessDeniedException", "No access to reserved parameter name: /AWS/x."},
		"ssm path":         {func(in in) { in.Name = aws.String("/ssm/x") }, "ValidationException", `Parameter name: can't be prefixed with "ssm"`},
		"blank":            {func(in in) { in.Name = aws.String("/a b") }, "ValidationException", "Parameter name: can't be prefixed with"},
		"relative":         {func(in in) { in.Name = aws.String("a/b") }, "ValidationException", "Parameter name must be a fully qualified name."},
		"deep":             {func(in in) { in.Name = aws.String(strings.Repeat("/a", 16)) }, "HierarchyLevelLimitExceededException", ""},
		"long name":        {func(in in) { in.Name = aws.String("/" + strings.Repeat("a", 1000)) }, "ValidationException", ""},
		"large":            {func(in in) { in.Value = aws.String(strings.Repeat("x", 4097)) }, "ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters."},
		"large, advanced":  {func(in in) { in.Value, in.Tier = aws.String(strings.Repeat("x", 8193)), "Advanced" }, "ValidationException", ""},
		"pattern":          {func(in in) { in.AllowedPattern = aws.String("^[0-9]+$") }, "ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: ^[0-9]+$"},
		"bad pattern":      {func(in in) { in.AllowedPattern = aws.String("(") }, "InvalidAllowedPatternException", ""},
		"data type":        {func(in in) { in.DataType = aws.String("Text") }, "ValidationException", "The following data type is not supported: Text"},
		"image list":       {func(in in) { in.DataType, in.Type = aws.String("aws:ec2:image"), "StringList" }, "ValidationException", ""},
		"integration":      {func(in in) { in.DataType = aws.String("aws:ssm:integration") }, "ValidationException", ""},
		"key without need": {func(in in) { in.KeyId = aws.String("alias/x") }, "ValidationException", "KeyId is required for SecureString type parameter only."},
		"tags and again": {func(in in) {
			in.Overwrite, in.Tags = aws.Bool(true), []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
		}, "ValidationException", "Invalid request: tags and overwrite can't be used together."},
		"reserved tag":      {func(in in) { in.Tags = []types.Tag{{Key: aws.String("aws:a"), Value: aws.String("b")}} }, "ValidationException", ""},
		"expiration policy": {func(in in) { in.Policies = aws.String("[{}]") }, "ValidationException", "A parameter policy is not supported by this endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.put("/x", "value", first, c.change)
			wantError(t, err, c.code, c.text)
			out, err := w.client.DescribeParameters(t.Context(), &awsssm.DescribeParametersInput{})
			w.must(err)
			if len(out.Parameters) > 0 {
				t.Error("the parameter was made")
			}
		})
	}
}

func TestTiersAndTypesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tier := func(tier types.ParameterTier) func(*awsssm.PutParameterInput) {
		return func(in *awsssm.PutParameterInput) { in.Tier, in.Type = tier, "" }
	}
	_, err := w.put("x", "small")
	w.must(err)
	_, err = w.put("x", strings.Repeat("x", 5000), tier(types.ParameterTierIntelligentTiering))
	w.must(err)
	_, err = w.put("x", "small", tier(types.ParameterTierStandard))
	wantError(t, err, "ValidationException", "This parameter uses the advanced-parameter tier.")
	_, err = w.put("x", strings.Repeat("y", 8192), tier(""))
	w.must(err)
	_, err = w.put("x", "a,b", func(in *awsssm.PutParameterInput) { in.Type = types.ParameterTypeStringList })
	wantError(t, err, "HierarchyTypeMismatchException", "Parameter Store doesn't support changing a parameter type in a hierarchy.")
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.put("secret", "hidden", func(in *awsssm.PutParameterInput) { in.Type = types.ParameterTypeSecureString })
	w.must(err)
	w.wantGet("secret", "hidden v1")
	out, err := w.client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String("secret")})
	w.must(err)
	if strings.Contains(*out.Parameter.Value, "hidden") {
		t.Error("it is shown without being asked for")
	}
}

// TestImagesAreValidatedLate is the trap of the data type: every value is accepted, and those that are wrong are never seen.
func TestImagesAreValidatedLate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		image func(w *world)
		value string
		valid bool
	}{
		"own":               {func(w *world) { w.addImage(account, "available") }, image, true},
		"shared":            {func(w *world) { w.addImage(other, "available", account) }, image, true},
		"public":            {func(w *world) { w.addImage(other, "available", "all") }, image, true},
		"of another":        {func(w *world) { w.addImage(other, "available") }, image, false},
		"pending":           {func(w *world) { w.addImage(account, "pending") }, image, false},
		"unknown":           {func(*world) {}, image, false},
		"not even an image": {func(*world) {}, "hello", false},
		"deregistered": {func(w *world) {
			w.addImage(account, "available")
			w.update(func(r *state.Region) { r.Images.Edit(image).Deregistered = true })
		}, image, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.windows.late = time.Minute
			c.image(w)
			v, err := w.put("/ami", c.value, asImage)
			w.must(err)
			if v != 1 {
				t.Errorf("version %d", v)
			}
			w.wantGet("/ami", "ParameterNotFound")
			w.clock.Advance(time.Minute)
			w.wantGet("/ami", "ParameterNotFound")
			w.clock.Advance(time.Minute)
			if c.valid {
				w.wantGet("/ami", image+" v1")
			} else {
				w.wantGet("/ami", "ParameterNotFound")
			}
		})
	}
}

func TestAnInvalidImageLeavesTheOldValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addImage(account, "available")
	_, err := w.put("/ami", image, asImage, first)
	w.must(err)
	w.clock.Advance(time.Minute)
	_, err = w.put("/ami", "ami-00000000000000001") // the data type stays
	w.must(err)
	w.clock.Advance(time.Minute)
	w.wantGet("/ami", image+" v1")
	v, err := w.put("/ami", image)
	w.must(err)
	w.clock.Advance(time.Minute)
	w.wantGet("/ami", fmt.Sprintf("%s v%d", image, v))
	if v != 3 {
		t.Errorf("the number of the version that failed was used again: %d", v)
	}
}

func TestValidationGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addImage(account, "available")
	_, err := w.put("/ami", image, asImage)
	w.must(err)
	again := newWorld(t)
	again.addImage(account, "available")
	w.must(w.store.View(region, func(from *state.Region) error {
		again.update(func(to *state.Region) {
			for key, d := range from.Drafts.All() {
				copied := *d
				to.Drafts.Put(key, &copied)
			}
		})
		return nil
	}))
	again.ssm.Resume(region)
	again.clock.Advance(time.Minute)
	again.wantGet("/ami", image+" v1")
}

func TestADeletedParameterDoesNotComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addImage(account, "available")
	_, err := w.put("/ami", image, asImage)
	w.must(err)
	w.clock.Advance(time.Minute)
	_, err = w.put("/ami", image)
	w.must(err)
	_, err = w.client.DeleteParameter(t.Context(), &awsssm.DeleteParameterInput{Name: aws.String("/ami")})
	w.must(err)
	w.clock.Advance(time.Minute)
	w.wantGet("/ami", "ParameterNotFound")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, value := range []string{"ami-1", "ami-2"} {
		_, err := w.put("/web/ami", value)
		w.must(err)
	}
	w.label("/web/ami", 1, "live")
	_, err := w.put("list", "a,b", func(in *awsssm.PutParameterInput) { in.Type = types.ParameterTypeStringList })
	w.must(err)
	for reference, want := range map[string]string{
		"resolve:ssm:/web/ami": "ami-2", "resolve:ssm:/web/ami:1": "ami-1", "resolve:ssm:/web/ami:live": "ami-1",
		"resolve:ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/web/ami": "ami-2",
		"resolve:ssm:/web/none": "", "resolve:ssm:/web/ami:9": "", "resolve:ssm:list": "", "ami-1": "", "resolve:ssm:": "",
	} {
		w.must(w.store.View(region, func(r *state.Region) error {
			got, err := ssm.Resolve(r, account, reference)
			if got != want || (err == nil) != (want != "") {
				t.Errorf("%s is %q, %v", reference, got, err)
			}
			return nil
		}))
	}
}

func TestHundredVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 101 {
		_, err := w.put("x", strconv.Itoa(i+1))
		w.must(err)
	}
	w.wantGet("x:1", "ParameterVersionNotFound")
	w.label("x", 2, "old")
	_, err := w.put("x", "102")
	wantError(t, err, "ParameterMaxVersionLimitExceeded", "You attempted to create a new version of x by calling the PutParameter API with the overwrite flag. Version 2, the oldest version, can't be deleted")
	w.label("x", 3, "old") // moves it
	_, err = w.put("x", "102")
	w.must(err)
	w.wantGet("x:old", "3 v3")
	history := awsssm.NewGetParameterHistoryPaginator(w.client, &awsssm.GetParameterHistoryInput{Name: aws.String("x"), MaxResults: aws.Int32(30)})
	var numbers []int64
	for history.HasMorePages() {
		out, err := history.NextPage(t.Context())
		w.must(err)
		for _, p := range out.Parameters {
			numbers = append(numbers, p.Version)
		}
	}
	if len(numbers) != 100 || numbers[0] != 3 || numbers[99] != 102 {
		t.Errorf("history is %v", numbers)
	}
}
