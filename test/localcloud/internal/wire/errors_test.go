package wire_test

import (
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/fxamacker/cbor/v2"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	ec2Error   = `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Response><Errors><Error><Code>%C</Code><Message>%M</Message></Error></Errors><RequestID>ID</RequestID></Response>"
	queryError = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>%C</Code><Message>%M</Message></Error><RequestId>ID</RequestId></ErrorResponse>`
	jsonError  = `{"__type":"%C","message":"%M"}`
	restError  = `{"message":"%M"}`
)

// failing are services whose handlers fail with err, or do nothing.
func failing(err error) []*wire.Service {
	compute, groups, blocks, manager, watch := wire.NewService("ec2"), wire.NewService("autoscaling"), wire.NewService("ebs"), wire.NewService("ssm"), wire.NewService("monitoring")
	wire.Handle(compute, func(context.Context, *wire.Call, *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
		return nil, err
	})
	wire.Handle(compute, func(context.Context, *wire.Call, *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
		return nil, err
	})
	wire.Handle(compute, func(context.Context, *wire.Call, *ec2.CreateLaunchTemplateInput) (*ec2.CreateLaunchTemplateOutput, error) {
		return nil, err
	})
	wire.Handle(groups, func(context.Context, *wire.Call, *autoscaling.CreateAutoScalingGroupInput) (*autoscaling.CreateAutoScalingGroupOutput, error) {
		return nil, err
	})
	wire.Handle(blocks, func(context.Context, *wire.Call, *ebs.StartSnapshotInput) (*ebs.StartSnapshotOutput, error) {
		return nil, err
	})
	wire.Handle(blocks, func(context.Context, *wire.Call, *ebs.PutSnapshotBlockInput) (*ebs.PutSnapshotBlockOutput, error) {
		return nil, err
	})
	wire.Handle(blocks, func(context.Context, *wire.Call, *ebs.ListSnapshotBlocksInput) (*ebs.ListSnapshotBlocksOutput, error) {
		return nil, err
	})
	wire.Handle(blocks, func(context.Context, *wire.Call, *ebs.GetSnapshotBlockInput) (*ebs.GetSnapshotBlockOutput, error) {
		return nil, err
	})
	wire.Handle(manager, func(context.Context, *wire.Call, *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
		return nil, err
	})
	wire.Handle(manager, func(context.Context, *wire.Call, *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
		return nil, err
	})
	wire.Handle(watch, func(context.Context, *wire.Call, *cloudwatch.DeleteAlarmsInput) (*cloudwatch.DeleteAlarmsOutput, error) {
		return nil, err
	})
	return []*wire.Service{compute, groups, blocks, manager, watch}
}

func errorBody(format, code, message string) string {
	return strings.NewReplacer("%C", code, "%M", message).Replace(format)
}

func target(operation string) map[string]string {
	return map[string]string{"X-Amz-Target": "AmazonSSM." + operation, "Content-Type": "application/x-amz-json-1.1"}
}

func put(index, header, value string) raw {
	h := map[string]string{"x-amz-Data-Length": "524288", "x-amz-Checksum": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "x-amz-Checksum-Algorithm": "SHA256"}
	if header != "" {
		h[header] = value
	}
	return raw{method: "PUT", target: "/snapshots/snap-0123456789abcdef0/blocks/" + index, service: "ebs", header: h, body: "x"}
}

func TestRefusedInputs(t *testing.T) {
	g := newGateway(failing(errors.New("the handler was called"))...)
	for name, test := range map[string]struct {
		raw
		status        int
		format        string
		code, message string
	}{
		"ec2: unknown action":     {raw{service: "ec2", body: "Action=Frobnicate&Version=2016-11-15"}, 400, ec2Error, "InvalidAction", "The action Frobnicate is not valid for this web service."},
		"ec2: in the model only":  {raw{service: "ec2", body: "Action=CreateFleet&Version=2016-11-15"}, 400, ec2Error, "InvalidAction", "The action CreateFleet is not valid for this web service."},
		"ec2: no action":          {raw{service: "ec2", body: "Version=2016-11-15"}, 400, ec2Error, "MissingParameter", "The request must contain the parameter Action"},
		"ec2: other version":      {raw{service: "ec2", body: "Action=RunInstances&Version=1999-01-01"}, 400, ec2Error, "NoSuchVersion", "The requested version (1999-01-01) of service AmazonEC2 does not exist"},
		"ec2: missing list":       {raw{service: "ec2", body: "Action=TerminateInstances"}, 400, ec2Error, "MissingParameter", "The request must contain the parameter InstanceId"},
		"ec2: missing number":     {raw{service: "ec2", body: "Action=RunInstances&MinCount=1"}, 400, ec2Error, "MissingParameter", "The request must contain the parameter MaxCount"},
		"ec2: unknown parameter":  {raw{service: "ec2", body: "Action=TerminateInstances&InstanceId.1=i-1&B.1.c=2&A=1"}, 400, ec2Error, "UnknownParameter", "The parameter A is not recognized"},
		"ec2: unknown below":      {raw{service: "ec2", body: "Action=RunInstances&MinCount=1&MaxCount=1&Placement.Nowhere=x"}, 400, ec2Error, "UnknownParameter", "The parameter Placement.Nowhere is not recognized"},
		"ec2: list for a scalar":  {raw{service: "ec2", body: "Action=RunInstances&MinCount.1=1&MaxCount=1"}, 400, ec2Error, "UnknownParameter", "The parameter MinCount.1 is not recognized"},
		"ec2: not a number":       {raw{service: "ec2", body: "Action=RunInstances&MinCount=one&MaxCount=1"}, 400, ec2Error, "InvalidParameterValue", "Value (one) for parameter MinCount is invalid. Expecting an Integer."},
		"ec2: too large a number": {raw{service: "ec2", body: "Action=RunInstances&MinCount=99999999999&MaxCount=1"}, 400, ec2Error, "InvalidParameterValue", "Value (99999999999) for parameter MinCount is invalid. Expecting an Integer."},
		"ec2: not a boolean":      {raw{service: "ec2", body: "Action=TerminateInstances&InstanceId.1=i&DryRun=maybe"}, 400, ec2Error, "InvalidParameterValue", "Value (maybe) for parameter DryRun is invalid. Expecting a Boolean."},
		"ec2: no finite number": {
			raw{service: "ec2", body: "Action=CreateLaunchTemplate&LaunchTemplateName=abc&LaunchTemplateData.InstanceRequirements.MemoryGiBPerVCpu.Min=NaN"},
			400, ec2Error, "InvalidParameterValue",
			"Value (NaN) for parameter LaunchTemplateData.InstanceRequirements.MemoryGiBPerVCpu.Min is invalid. Expecting a Float.",
		},
		"ec2: a time beyond all years": {
			raw{service: "ec2", body: "Action=CreateLaunchTemplate&LaunchTemplateName=abc&LaunchTemplateData.InstanceMarketOptions.SpotOptions.ValidUntil=9999-12-31T23:59:59-01:00"},
			400, ec2Error,
			"InvalidParameterValue", "Value (9999-12-31T23:59:59-01:00) for parameter LaunchTemplateData.InstanceMarketOptions.SpotOptions.ValidUntil is invalid. Expecting a timestamp.",
		},
		"ec2: bad escape":             {raw{service: "ec2", body: "Action=TerminateInstances&InstanceId.1=%zz"}, 400, ec2Error, "MalformedQueryString", "The query string contains a syntax error."},
		"ec2: no UTF-8":               {raw{service: "ec2", body: "Action=TerminateInstances&InstanceId.1=%ff"}, 400, ec2Error, "MalformedQueryString", "The query string contains a syntax error."},
		"ec2: deep":                   {raw{service: "ec2", body: "Action=TerminateInstances&" + strings.Repeat("a.", 40) + "=1"}, 400, ec2Error, "MalformedQueryString", "The query string contains a syntax error."},
		"query: unknown action":       {raw{service: "autoscaling", body: "Action=Frobnicate&Version=2011-01-01"}, 400, queryError, "InvalidAction", "Could not find operation Frobnicate for version 2011-01-01"},
		"query: other version":        {raw{service: "autoscaling", body: "Action=CreateAutoScalingGroup&Version=2012-06-01"}, 400, queryError, "InvalidAction", "Could not find operation CreateAutoScalingGroup for version 2012-06-01"},
		"query: no action":            {raw{service: "autoscaling"}, 400, queryError, "MissingAction", "The request is missing an action or a required parameter."},
		"query: missing":              {raw{service: "autoscaling", body: "Action=CreateAutoScalingGroup&MinSize=0&MaxSize=1"}, 400, queryError, "ValidationError", "1 validation error detected: Value null at 'autoScalingGroupName' failed to satisfy constraint: Member must not be null"},
		"query: two errors":           {raw{service: "autoscaling", body: "Action=CreateAutoScalingGroup&MinSize=0&AutoScalingGroupName="}, 400, queryError, "ValidationError", "2 validation errors detected: Value '' at 'autoScalingGroupName' failed to satisfy constraint: Member must have length greater than or equal to 1; Value null at 'maxSize' failed to satisfy constraint: Member must not be null"},
		"query: nested":               {raw{service: "autoscaling", body: "Action=CreateAutoScalingGroup&MinSize=0&MaxSize=1&AutoScalingGroupName=a&Tags.member.1.Value=v"}, 400, queryError, "ValidationError", "1 validation error detected: Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null"},
		"query: not a number":         {raw{service: "autoscaling", body: "Action=CreateAutoScalingGroup&AutoScalingGroupName=a&MinSize=x&MaxSize=1"}, 400, queryError, "MalformedInput", "Value (x) of MinSize can not be converted to an Integer"},
		"query: unknown parameter":    {raw{service: "autoscaling", body: "Action=CreateAutoScalingGroup&AutoScalingGroupName=a&MinSize=1&MaxSize=1&Nonsense=1"}, 400, queryError, "InvalidQueryParameter", "The parameter Nonsense is not recognized"},
		"json: unknown action":        {raw{service: "ssm", header: target("Frobnicate"), body: "{}"}, 400, `{"__type":"%C"}`, "UnknownOperationException", ""},
		"json: no target":             {raw{service: "ssm", body: "{}"}, 400, `{"__type":"%C"}`, "UnknownOperationException", ""},
		"json: missing":               {raw{service: "ssm", header: target("GetParameter"), body: "{}"}, 400, jsonError, "ValidationException", "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		"json: no body":               {raw{service: "ssm", header: target("GetParameter")}, 400, jsonError, "ValidationException", "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		"json: enum":                  {raw{service: "ssm", header: target("PutParameter"), body: `{"Name":"a","Value":"b","Type":"Strange"}`}, 400, jsonError, "ValidationException", "1 validation error detected: Value 'Strange' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]"},
		"json: number for a string":   {raw{service: "ssm", header: target("GetParameter"), body: `{"Name":5}`}, 400, jsonError, "SerializationException", "NUMBER_VALUE can not be converted to a String"},
		"json: string for a boolean":  {raw{service: "ssm", header: target("GetParameter"), body: `{"Name":"a","WithDecryption":"yes"}`}, 400, jsonError, "SerializationException", "STRING_VALUE can not be converted to a Boolean"},
		"json: list for a string":     {raw{service: "ssm", header: target("GetParameter"), body: `{"Name":[]}`}, 400, jsonError, "SerializationException", "Start of list found where not expected."},
		"json: structure for a list":  {raw{service: "ssm", header: target("PutParameter"), body: `{"Name":"a","Value":"b","Tags":{}}`}, 400, jsonError, "SerializationException", "Start of structure or map found where not expected."},
		"json: string for a list":     {raw{service: "ssm", header: target("PutParameter"), body: `{"Name":"a","Value":"b","Tags":"c"}`}, 400, jsonError, "SerializationException", "Unexpected field type"},
		"json: a list":                {raw{service: "ssm", header: target("GetParameter"), body: `[]`}, 400, jsonError, "SerializationException", "Start of list found where not expected."},
		"json: unknown member":        {raw{service: "ssm", header: target("GetParameter"), body: `{"Name":"a","Nonsense":1}`}, 400, jsonError, "SerializationException", "Unknown member Nonsense"},
		"json: more than one":         {raw{service: "ssm", header: target("GetParameter"), body: `{"Name":"a"}{}`}, 400, jsonError, "SerializationException", "Could not parse the body as JSON: there is more after the object"},
		"rest: no volume size":        {raw{service: "ebs", target: "/snapshots", body: "{}"}, 400, restError, "ValidationException", "1 validation error detected: Value null at 'volumeSize' failed to satisfy constraint: Member must not be null"},
		"rest: long token":            {raw{service: "ebs", target: "/snapshots", body: `{"VolumeSize":1,"ClientToken":"` + strings.Repeat("x", 256) + `"}`}, 400, restError, "ValidationException", "1 validation error detected: Value '" + strings.Repeat("x", 256) + "' at 'clientToken' failed to satisfy constraint: Member must have length less than or equal to 255"},
		"rest: empty token":           {raw{service: "ebs", target: "/snapshots", body: `{"VolumeSize":1,"ClientToken":""}`}, 400, restError, "ValidationException", "1 validation error detected: Value '' at 'clientToken' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[\\\\S]+$"},
		"rest: block -1":              {put("-1", "", ""), 400, restError, "ValidationException", "1 validation error detected: Value '-1' at 'blockIndex' failed to satisfy constraint: Member must have value greater than or equal to 0"},
		"rest: progress 101":          {put("0", "x-amz-Progress", "101"), 400, restError, "ValidationException", "1 validation error detected: Value '101' at 'progress' failed to satisfy constraint: Member must have value less than or equal to 100"},
		"rest: checksum":              {put("0", "x-amz-Checksum", "#"), 400, restError, "ValidationException", "1 validation error detected: Value '#' at 'checksum' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[A-Za-z0-9+/=]+$"},
		"rest: few results":           {raw{method: "GET", service: "ebs", target: "/snapshots/snap-0123456789abcdef0/blocks?maxResults=99"}, 400, restError, "ValidationException", "1 validation error detected: Value '99' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 100"},
		"rest: empty block token":     {raw{method: "GET", service: "ebs", target: "/snapshots/snap-0123456789abcdef0/blocks/0?blockToken="}, 400, restError, "ValidationException", "1 validation error detected: Value '' at 'blockToken' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[A-Za-z0-9+/=_-]+$"},
		"rest: index is no number":    {put("x", "", ""), 400, restError, "SerializationException", "STRING_VALUE can not be converted to an Integer"},
		"rest: unknown path":          {raw{method: "GET", service: "ebs", target: "/snapshots/x/y/z/1"}, 404, restError, "UnknownOperationException", ""},
		"rest: unknown method":        {raw{method: "DELETE", service: "ebs", target: "/snapshots"}, 404, restError, "UnknownOperationException", ""},
		"no such service":             {raw{service: "iam", header: map[string]string{"X-Amz-Target": "x"}}, 400, jsonError, "UnknownOperationException", `This cloud has no service \"iam\".`},
		"rest: algorithm is accepted": {put("0", "x-amz-Checksum-Algorithm", "SHA1"), 500, restError, "InternalServerException", "We encountered an internal error. Please try again."},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, g, test.raw)
			got.wants(t, test.status, errorBody(test.format, test.code, test.message))
			if kind := got.header.Get("X-Amzn-Errortype"); test.format == restError && !strings.HasPrefix(kind, test.code+":http://internal.amazon.com/coral/") {
				t.Errorf("error type %q", kind)
			}
			if test.format == restError && (got.header.Get("Connection") == "close") != (test.status == 400) {
				t.Errorf("connection %q", got.header.Get("Connection"))
			}
		})
	}
}

func TestRefusedSignatures(t *testing.T) {
	now := time.Now().UTC()
	basic := "20060102T150405Z"
	old, young := now.Add(-16*time.Minute), now.Add(16*time.Minute)
	signed := func(at time.Time, value string) map[string]string {
		return map[string]string{"X-Amz-Date": at.Format(basic), "Authorization": value}
	}
	good := authorization("SERVICE", now)
	token := map[string]string{"X-Amz-Date": now.Format(basic), "Authorization": good, "X-Amz-Security-Token": "expired"}
	g := newGateway(failing(nil)...)
	for name, test := range map[string]struct {
		header map[string]string
		codes  [4]string // of ec2, autoscaling, ssm, ebs
		status [4]int
	}{
		"none":        {nil, [4]string{"MissingParameter", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "MissingAuthenticationTokenException"}, [4]int{400, 403, 400, 403}},
		"algorithm":   {signed(now, strings.Replace(good, "AWS4-HMAC-SHA256", "AWS3", 1)), incomplete, [4]int{400, 400, 400, 403}},
		"no date":     {map[string]string{"Authorization": good}, incomplete, [4]int{400, 400, 400, 403}},
		"odd date":    {map[string]string{"Authorization": good, "X-Amz-Date": "yesterday"}, incomplete, [4]int{400, 400, 400, 403}},
		"no sum":      {signed(now, strings.Split(good, ", Signature")[0]), incomplete, [4]int{400, 400, 400, 403}},
		"no headers":  {signed(now, strings.Replace(good, "SignedHeaders", "Headers", 1)), incomplete, [4]int{400, 400, 400, 403}},
		"short sum":   {signed(now, strings.TrimSuffix(good, "f")), mismatched, [4]int{403, 403, 400, 403}},
		"upper sum":   {signed(now, strings.TrimSuffix(good, "f")+"F"), mismatched, [4]int{403, 403, 400, 403}},
		"no host":     {signed(now, strings.Replace(good, "host;", "", 1)), mismatched, [4]int{403, 403, 400, 403}},
		"terminator":  {signed(now, strings.Replace(good, "aws4_request", "aws5_request", 1)), mismatched, [4]int{403, 403, 400, 403}},
		"other day":   {signed(now, strings.Replace(good, now.Format("20060102"), "20200101", 1)), mismatched, [4]int{403, 403, 400, 403}},
		"region":      {signed(now, strings.Replace(good, "eu-west-1", "europe", 1)), mismatched, [4]int{403, 403, 400, 403}},
		"old":         {signed(old, authorization("SERVICE", old)), [4]string{"AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignatureException"}, [4]int{401, 403, 400, 403}},
		"young":       {signed(young, authorization("SERVICE", young)), [4]string{"AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignatureException"}, [4]int{401, 403, 400, 403}},
		"unknown key": {signed(now, strings.Replace(good, account, "AKIDNOBODY", 1)), [4]string{"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "UnrecognizedClientException"}, [4]int{401, 403, 400, 403}},
		"expired":     {token, [4]string{"RequestExpired", "ExpiredToken", "ExpiredTokenException", "ExpiredTokenException"}, [4]int{400, 403, 400, 403}},
	} {
		for i, service := range []string{"ec2", "autoscaling", "ssm", "ebs"} {
			t.Run(name+"/"+service, func(t *testing.T) {
				r := raw{body: "Action=TerminateInstances&InstanceId.1=i", header: map[string]string{}}
				switch service {
				case "ec2":
					r.target = "/?Version=2016-11-15"
				case "autoscaling":
					r.body, r.target = "Action=CreateAutoScalingGroup", "/?Version=2011-01-01"
				case "ssm":
					r.header = target("GetParameter")
				case "ebs":
					r.method, r.target = "GET", "/snapshots/snap-1/blocks"
				}
				for name, value := range test.header {
					r.header[name] = strings.ReplaceAll(value, "SERVICE", service)
				}
				got := send(t, g, r)
				if code := codeOf(got); got.status != test.status[i] || code != test.codes[i] {
					t.Errorf("got %d %s %s", got.status, code, got.body)
				}
			})
		}
	}
}

var (
	incomplete = [4]string{"IncompleteSignature", "IncompleteSignature", "IncompleteSignatureException", "IncompleteSignatureException"}
	mismatched = [4]string{"SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignatureException"}
)

// codeOf finds the code of an error in any protocol.
func codeOf(r response) string {
	if code, _, ok := strings.Cut(r.header.Get("X-Amzn-Errortype"), ":"); ok {
		return code
	}
	for _, around := range [][2]string{{"<Code>", "</Code>"}, {`"__type":"`, `"`}} {
		if _, rest, ok := strings.Cut(r.body, around[0]); ok {
			code, _, _ := strings.Cut(rest, around[1])
			return code
		}
	}
	return ""
}

func TestPresignedURLs(t *testing.T) {
	g := newGateway(failing(nil)...)
	at := func(d time.Duration, more string) string {
		when := time.Now().UTC().Add(d)
		return "/?Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + account +
			"%2F" + when.Format("20060102") + "%2Feu-west-1%2Fec2%2Faws4_request&X-Amz-Date=" + when.Format("20060102T150405Z") + "&X-Amz-SignedHeaders=host&X-Amz-Signature=" + sum + more
	}
	for name, test := range map[string]struct {
		target, code string
	}{
		"good":          {at(0, ""), ""},
		"valid for 1 h": {at(-30*time.Minute, "&X-Amz-Expires=3600"), ""},
		"expired":       {at(-2*time.Hour, "&X-Amz-Expires=3600"), "AuthFailure"},
		"too long":      {at(0, "&X-Amz-Expires=604801"), "IncompleteSignature"},
		"no number":     {at(0, "&X-Amz-Expires=x"), "IncompleteSignature"},
		"no date":       {strings.Replace(at(0, ""), "X-Amz-Date", "X-Amz-Day", 1), "IncompleteSignature"},
		"odd date":      {strings.Replace(at(0, ""), "X-Amz-Date=", "X-Amz-Date=x", 1), "IncompleteSignature"},
		"no sum":        {strings.Split(at(0, ""), "&X-Amz-Signature")[0], "IncompleteSignature"},
		"algorithm":     {strings.Replace(at(0, ""), "HMAC", "HMACC", 1), "IncompleteSignature"},
		"token":         {at(0, "&X-Amz-Security-Token=expired"), "RequestExpired"},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, g, raw{method: "GET", target: test.target})
			if code := codeOf(got); code != test.code {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// refuser is an Interceptor.
type refuser struct{ before, after error }

func (r refuser) Before(context.Context, *wire.Call) error { return r.before }
func (r refuser) After(context.Context, *wire.Call) error  { return r.after }

func terminate(g *wire.Gateway) (*ec2.TerminateInstancesOutput, error) {
	return ec2.NewFromConfig(config(g)).TerminateInstances(context.Background(), &ec2.TerminateInstancesInput{InstanceIds: []string{"i-1"}})
}

func TestInterceptor(t *testing.T) {
	throttled := &wire.Error{Status: 503, Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
	for name, i := range map[string]refuser{"before": {before: throttled}, "after": {after: throttled}, "lost": {before: wire.ErrNoAnswer}, "lost after": {after: wire.ErrNoAnswer}} {
		g := wire.NewGateway(wire.Options{Services: failing(nil), Accounts: everyone{}, Clock: clock.Real{}, Interceptor: i})
		_, err := terminate(g)
		if lost := strings.Contains(name, "lost"); err == nil || lost != strings.Contains(err.Error(), "connection closed without an answer") || lost == strings.Contains(err.Error(), "RequestLimitExceeded") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHandlersErrors(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"of the service": {wire.Errorf("InvalidInstanceID.NotFound", "no %s", "i-1"), "api error InvalidInstanceID.NotFound: no i-1"},
		"dry run":        {wire.ErrDryRun(), "StatusCode: 412"},
		"other":          {errors.New("disk full"), "api error InternalError"},
		"no status":      {&wire.Error{Code: "A"}, "StatusCode: 400"},
	} {
		if _, err := terminate(newGateway(failing(test.err)...)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPanicsAreLogged(t *testing.T) {
	s := wire.NewService("ec2")
	wire.Handle(s, func(context.Context, *wire.Call, *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
		panic("ouch")
	})
	var log strings.Builder
	g := wire.NewGateway(wire.Options{Services: []*wire.Service{s}, Accounts: everyone{}, Clock: clock.Real{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := terminate(g); err == nil || !strings.Contains(err.Error(), "InternalError") {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"panic=ouch", "errors_test.go", "service=ec2 operation=TerminateInstances account=123456789012 region=eu-west-1 status=500 code=InternalError ms="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, log.String())
		}
	}
}

func TestAHandlerThatGivesUp(t *testing.T) {
	s := wire.NewService("ec2")
	wire.Handle(s, func(ctx context.Context, _ *wire.Call, _ *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := ec2.NewFromConfig(config(newGateway(s))).TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{"i-1"}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLargeBodies(t *testing.T) {
	g := newGateway(failing(nil)...)
	for service, r := range map[string]raw{
		"ec2":         {service: "ec2", body: "Action=" + strings.Repeat("x", 5<<20)},
		"ebs":         {service: "ebs", method: "PUT", target: "/snapshots/snap-1/blocks/1", body: strings.Repeat("x", 1<<20+1)},
		"not so long": {service: "ssm", header: target("GetParameter"), body: strings.Repeat("x", 5<<20)},
	} {
		q := r.request()
		if service == "not so long" {
			q.ContentLength = -1
		}
		if got := exchangeOf(t, g, q); got.status != 413 || !strings.HasPrefix(codeOf(got), "RequestEntityTooLarge") {
			t.Errorf("%s: %d %s", service, got.status, got.body)
		}
	}
}

func TestPackedBodies(t *testing.T) {
	g := newGateway(failing(nil)...)
	var b strings.Builder
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte("Action=DeleteAlarms&AlarmNames.member.1=a"))
	_ = z.Close()
	packed := map[string]string{"Content-Encoding": "gzip"}
	if got := send(t, g, raw{service: "monitoring", header: packed, body: b.String()}); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := send(t, g, raw{service: "monitoring", header: packed, body: "junk"}); got.status != 400 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// CloudWatch's clients of different ages speak three protocols.
func TestCloudWatchProtocols(t *testing.T) {
	failed := wire.Errorf("ResourceNotFound", "no alarm")
	cborHeaders := map[string]string{"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
	jsonHeaders := map[string]string{"X-Amz-Target": "GraniteServiceVersion20100801.DeleteAlarms", "Content-Type": "application/x-amz-json-1.0"}
	body, _ := cbor.Marshal(map[string]any{"AlarmNames": []string{"a"}})
	empty, _ := cbor.Marshal(map[string]any{})
	for name, r := range map[string]raw{
		"cbor":  {target: "/service/GraniteServiceVersion20100801/operation/DeleteAlarms", header: cborHeaders, body: string(body)},
		"json":  {header: jsonHeaders, body: `{"AlarmNames":["a"]}`},
		"query": {body: "Action=DeleteAlarms&Version=2010-08-01&AlarmNames.member.1=a"},
	} {
		r.service = "monitoring"
		if got := send(t, newGateway(failing(nil)...), r); got.status != 200 {
			t.Errorf("%s: %d %q", name, got.status, got.body)
		}
		got := send(t, newGateway(failing(failed)...), r)
		if got.status != 400 || !strings.Contains(got.body, "ResourceNotFound") || !strings.Contains(got.body, "no alarm") {
			t.Errorf("%s: %d %q", name, got.status, got.body)
		}
		if also := got.header.Get("X-Amzn-Query-Error"); name != "query" && also != "ResourceNotFound;Sender" {
			t.Errorf("%s: query error %q", name, also)
		}
	}
	for name, r := range map[string]raw{
		"missing":       {target: "/service/GraniteServiceVersion20100801/operation/DeleteAlarms", body: string(empty)},
		"no cbor":       {target: "/service/GraniteServiceVersion20100801/operation/DeleteAlarms", body: "\xff"},
		"no operation":  {target: "/service/GraniteServiceVersion20100801/operation/Frobnicate", body: string(empty)},
		"other service": {target: "/service/Other/operation/DeleteAlarms", body: string(empty)},
		"no POST":       {method: "GET", target: "/service/GraniteServiceVersion20100801/operation/DeleteAlarms"},
	} {
		r.service, r.header = "monitoring", cborHeaders
		got := send(t, newGateway(failing(nil)...), r)
		var e map[string]string
		if err := cbor.Unmarshal([]byte(got.body), &e); err != nil || got.status/100 != 4 || !strings.HasSuffix(e["__type"], "Exception") {
			t.Errorf("%s: %d %q %v", name, got.status, got.body, err)
		}
	}
}

func TestJunk(t *testing.T) {
	g := newGateway(failing(nil)...)
	for name, r := range map[string]raw{
		"GET /": {method: "GET"}, "HEAD /": {method: "HEAD"}, "OPTIONS": {method: "OPTIONS", target: "/x"}, "GET /favicon.ico": {method: "GET", target: "/favicon.ico"},
		"POST": {body: "\x00\x01"}, "basic": {header: map[string]string{"Authorization": "Basic eDp5"}}, "HEAD block": {method: "HEAD", service: "ebs", target: "/snapshots/snap-1/blocks/1"},
		"scopes": {header: map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=host, Signature=x"}},
	} {
		if got := send(t, g, r); got.status/100 != 4 || r.method == "HEAD" && got.body != "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestAnswers(t *testing.T) {
	g := newGateway(failing(nil)...)
	send(t, g, raw{service: "ec2", body: "Action=TerminateInstances&InstanceId.1=i"}).wants(t, 200,
		`<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<TerminateInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>ID</requestId></TerminateInstancesResponse>`)
	send(t, g, raw{service: "autoscaling", body: "Action=CreateAutoScalingGroup&AutoScalingGroupName=a&MinSize=0&MaxSize=0"}).wants(t, 200,
		`<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<CreateAutoScalingGroupResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></CreateAutoScalingGroupResponse>`)
	send(t, g, raw{service: "ebs", target: "/snapshots", body: `{"VolumeSize":1}`}).wants(t, 201,
		`{"BlockSize":null,"Description":null,"KmsKeyArn":null,"OwnerId":null,"ParentSnapshotId":null,"SnapshotId":null,"SseType":null,"StartTime":null,"Status":null,"Tags":null,"VolumeSize":null}`)
	send(t, g, put("0", "", "")).wants(t, 201, `{}`)
	send(t, g, raw{service: "ssm", header: target("GetParameter"), body: `{"Name":"a"}`}).wants(t, 200, `{}`)
	s := wire.NewService("ebs")
	at := time.UnixMilli(1790337440328)
	wire.Handle(s, func(context.Context, *wire.Call, *ebs.StartSnapshotInput) (*ebs.StartSnapshotOutput, error) {
		return &ebs.StartSnapshotOutput{StartTime: &at, VolumeSize: aws.Int64(1), Description: aws.String("a\"\\\n\x01€\xff")}, nil
	})
	send(t, newGateway(s), raw{service: "ebs", target: "/snapshots", body: `{"VolumeSize":1}`}).wants(t, 201,
		`{"BlockSize":null,"Description":"a\"\\\u000a\u0001€`+"\uFFFD"+`","KmsKeyArn":null,"OwnerId":null,"ParentSnapshotId":null,"SnapshotId":null,"SseType":null,"StartTime":1.790337440328E9,"Status":null,"Tags":null,"VolumeSize":1}`)
}

func TestS3IsHandedOver(t *testing.T) {
	s3 := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := wire.CallOf(r.Context())
		if r.URL.Path == "/panic" {
			panic("ouch")
		}
		_, _ = w.Write([]byte(c.Account + " " + c.Region + " " + r.URL.Path))
	})
	g := wire.NewGateway(wire.Options{Accounts: everyone{}, Clock: clock.Real{}, S3: s3})
	send(t, g, raw{method: "GET", service: "s3", target: "/bucket/key"}).wants(t, 200, account+" eu-west-1 /bucket/key")
	if got := send(t, g, raw{method: "GET", target: "/bucket/key"}); got.status != 403 || codeOf(got) != "AccessDenied" {
		t.Errorf("unsigned: %d %s", got.status, got.body)
	}
	q := raw{method: "GET", service: "s3", target: "/bucket"}.request()
	q.Header.Set("Authorization", strings.Replace(q.Header.Get("Authorization"), account, "nobody", 1))
	if got := exchangeOf(t, g, q); got.status != 403 || codeOf(got) != "InvalidAccessKeyId" {
		t.Errorf("unknown key: %d %s", got.status, got.body)
	}
	if got, err := g.RoundTrip(raw{method: "GET", service: "s3", target: "/panic"}.request()); err == nil { //nolint:bodyclose // there is none
		t.Errorf("panic: %v", got)
	}
}

func TestS3RefusesInItsOwnWords(t *testing.T) {
	g := wire.NewGateway(wire.Options{
		Accounts: everyone{}, Clock: clock.Real{}, Interceptor: refuser{before: &wire.Error{Status: 503, Code: "SlowDown"}},
		S3: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
	})
	now := time.Now().UTC()
	old := now.Add(-time.Hour)
	good := authorization("s3", now)
	for code, test := range map[string]struct {
		status int
		at     time.Time
		value  string
		token  string
	}{
		"AuthorizationHeaderMalformed": {400, now, strings.Replace(good, "SignedHeaders", "Headers", 1), ""},
		"SignatureDoesNotMatch":        {403, now, strings.TrimSuffix(good, "f"), ""},
		"RequestTimeTooSkewed":         {403, old, authorization("s3", old), ""},
		"ExpiredToken":                 {400, now, good, "expired"},
		"SlowDown":                     {503, now, good, ""},
	} {
		got := send(t, g, raw{method: "GET", target: "/bucket", header: map[string]string{
			"X-Amz-Date": test.at.Format("20060102T150405Z"), "Authorization": test.value, "X-Amz-Security-Token": test.token,
		}})
		if got.status != test.status || codeOf(got) != code {
			t.Errorf("%s: %d %s", code, got.status, got.body)
		}
	}
}

func TestCheckFindsWhatDoesNotFit(t *testing.T) {
	type FrobnicateInput struct{}
	type FrobnicateOutput struct{}
	type RunInstancesInput struct{}
	s := wire.NewService("ec2")
	wire.Handle(s, func(context.Context, *wire.Call, *FrobnicateInput) (*FrobnicateOutput, error) {
		return &FrobnicateOutput{}, nil
	})
	wire.Handle(s, func(context.Context, *wire.Call, *RunInstancesInput) (*ec2.RunInstancesOutput, error) {
		return &ec2.RunInstancesOutput{}, nil
	})
	err := newGateway(s, wire.NewService("nonsense")).Check()
	for _, want := range []string{"Frobnicate is not in the model", "RunInstancesInput has no field ImageId"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
