package wire_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// judge sends a request of any form: the answer must be good or the client's fault.
func judge(t *testing.T, g *wire.Gateway, method, target, body string, header map[string]string) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return // net/http refuses it
	}
	q := &http.Request{Method: method, URL: u, Host: "localhost", Header: http.Header{}, ContentLength: int64(len(body)), Body: http.NoBody}
	if body != "" {
		q.Body = struct {
			*strings.Reader
			nothing
		}{strings.NewReader(body), nothing{}}
	}
	for name, value := range header {
		q.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, q.WithContext(t.Context()))
	if w.Code < 200 || w.Code > 499 || w.Code/100 == 3 {
		t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
}

type nothing struct{}

func (nothing) Close() error { return nil }

func signedFor(service string) map[string]string {
	now := time.Now().UTC()
	return map[string]string{"X-Amz-Date": now.Format("20060102T150405Z"), "Authorization": authorization(service, now)}
}

func with(header map[string]string, more ...string) map[string]string {
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return header
}

// ec2Seeds, querySeeds and jsonSeeds are bodies to start from.
func ec2Seeds() []string {
	return []string{
		"Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&TagSpecification.1.Tag.2.Key=a", "Action=DescribeImages&ImageId.1=&DryRun=true",
		"Action=ImportKeyPair&KeyName=a&PublicKeyMaterial=%ff", "Action=CopySnapshot&DestinationRegion=x&DestinationRegion.1.2=y", "Action.1=x&Action=RunInstances",
		"Action=CreateLaunchTemplate&LaunchTemplateName=a&LaunchTemplateData.NetworkInterface.1.PrivateIpAddresses.1.Primary=1", "Filter.-1.Name=a&Filter.00.Name=&Filter..=", "=&&=",
		"Action=DescribeSpotPriceHistory&StartTime=2026-09-27T04:28:26Z&EndTime=1e300",
	}
}

func querySeeds() []string {
	return []string{
		"Action=CreateAutoScalingGroup&AutoScalingGroupName=a&MinSize=0&MaxSize=1&Tags.member.1.Key=k", "Action=DescribeAutoScalingGroups&AutoScalingGroupNames=",
		"Action=PutScalingPolicy&StepAdjustments.member.1.MetricIntervalLowerBound=NaN", "Action=DescribePolicies&PolicyNames.member.x=a&PolicyNames.member.1.2=b",
		"Action=StartInstanceRefresh&AutoScalingGroupName=a&Preferences.CheckpointPercentages.member.1=x",
	}
}

func jsonSeeds() []string {
	return []string{
		`{"Name":"a","Value":"b","Tags":[{"Key":"k","Value":null}]}`, `{"Name":{"Name":[[]]}}`, `[]`, `"`, `{"MaxResults":1e99}`,
		`{"Namespace":"n","MetricData":[{"MetricName":"m","Timestamp":1.5,"Values":[1,2.5],"Dimensions":[{"Name":"a","Value":"b"}]}]}`,
		strings.Repeat(`{"Name":`, 20000),
	}
}

func FuzzEC2(f *testing.F) {
	for _, seed := range ec2Seeds() {
		f.Add(seed)
	}
	g, _ := everything(f, nil)
	f.Fuzz(func(t *testing.T, body string) { judge(t, g, "POST", "/", body, signedFor("ec2")) })
}

func FuzzQuery(f *testing.F) {
	for _, seed := range querySeeds() {
		f.Add("autoscaling", seed)
		f.Add("elasticloadbalancing", seed)
		f.Add("monitoring", seed)
	}
	g, _ := everything(f, nil)
	f.Fuzz(func(t *testing.T, service, body string) {
		if service != "s3" {
			judge(t, g, "POST", "/", body, signedFor(service))
		}
	})
}

func FuzzREST(f *testing.F) {
	f.Add("PUT", "/snapshots/snap-0/blocks/1", "524288", "SHA256", "body")
	f.Add("POST", "/snapshots", "", "", `{"VolumeSize":1e0,"Tags":[{"Key":null}]}`)
	f.Add("GET", "/snapshots/%2e%2e/blocks/-1?blockToken=a&maxResults=x&maxResults=", "", "", "")
	f.Add("GET", "/snapshots//changedblocks?firstSnapshotId", "", "", "")
	f.Add("POST", "/snapshots/completion/snap-0", "-1", "x", "null")
	g, _ := everything(f, nil)
	f.Fuzz(func(t *testing.T, method, target, number, text, body string) {
		judge(t, g, method, target, body, with(signedFor("ebs"), "x-amz-Data-Length", number, "x-amz-ChangedBlocksCount", number,
			"x-amz-Progress", number, "x-amz-Checksum", text, "x-amz-Checksum-Algorithm", text))
	})
}

func FuzzJSON(f *testing.F) {
	for _, seed := range jsonSeeds() {
		f.Add("ssm", "AmazonSSM.PutParameter", seed)
		f.Add("monitoring", "GraniteServiceVersion20100801.PutMetricData", seed)
	}
	f.Add("monitoring", "GraniteServiceVersion20100801.PutMetricAlarm", `{"EvaluationCriteria":{"PromQLCriteria":{}}}`)
	g, _ := everything(f, nil)
	f.Fuzz(func(t *testing.T, service, operation, body string) {
		if service == "ssm" || service == "monitoring" {
			judge(t, g, "POST", "/", body, with(signedFor(service), "X-Amz-Target", operation))
		}
	})
}

func cborSeeds(t testing.TB) []string {
	t.Helper()
	datum := map[string]any{"MetricName": "m", "Timestamp": cbor.Tag{Number: 1, Content: 1.5}, "Value": 1}
	seeds := []string{"\xbf\x9f\xff", "\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00"}
	for _, v := range []any{
		map[string]any{"AlarmNames": []string{"a"}},
		map[string]any{"Namespace": "a", "MetricData": []any{datum}},
		map[string]any{"MetricData": []any{map[string]any{"Timestamp": cbor.Tag{Number: 1, Content: 1e300}}}},
		map[any]any{1: 2},
		5,
		[]any{nil},
	} {
		b, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, string(b))
	}
	return seeds
}

func FuzzCBOR(f *testing.F) {
	for _, seed := range cborSeeds(f) {
		f.Add("PutMetricData", []byte(seed))
		f.Add("DeleteAlarms", []byte(seed))
	}
	g, _ := everything(f, nil)
	f.Fuzz(func(t *testing.T, operation string, body []byte) {
		judge(t, g, "POST", "/service/GraniteServiceVersion20100801/operation/"+url.PathEscape(operation), string(body), with(signedFor("monitoring"), "Smithy-Protocol", "rpc-v2-cbor"))
	})
}

func FuzzSignature(f *testing.F) {
	now := time.Now().UTC()
	f.Add(authorization("ec2", now), now.Format("20060102T150405Z"), "X-Amz-Credential=a/b/c/d/e&X-Amz-Expires=-1")
	f.Add("AWS4-HMAC-SHA256 Credential=,=,,SignedHeaders", "", "X-Amz-Signature=%")
	f.Add("", "99999999T999999Z", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z&X-Amz-Credential=%ff////&X-Amz-Signature=x&X-Amz-SignedHeaders=;")
	g, _ := everything(f, nil)
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		judge(t, g, "POST", "/?"+query, "Action=DescribeInstances&Version=2016-11-15", map[string]string{"Authorization": authorization, "X-Amz-Date": date})
	})
}

// Mutations of the seeds, the same ones in every run, for where nobody fuzzes.
func TestMutations(t *testing.T) {
	g, _ := everything(t, nil)
	c := newChance(1)
	for range 30 {
		for _, seed := range ec2Seeds() {
			judge(t, g, "POST", "/", c.mutate(seed), signedFor("ec2"))
		}
		for _, seed := range querySeeds() {
			judge(t, g, "POST", "/", c.mutate(seed), signedFor("autoscaling"))
		}
		for _, seed := range jsonSeeds() {
			judge(t, g, "POST", "/", c.mutate(seed), with(signedFor("ssm"), "X-Amz-Target", "AmazonSSM.PutParameter"))
			judge(t, g, "POST", "/", c.mutate(seed), with(signedFor("monitoring"), "X-Amz-Target", "GraniteServiceVersion20100801.PutMetricData"))
			judge(t, g, "POST", "/snapshots", c.mutate(seed), signedFor("ebs"))
		}
		for _, seed := range cborSeeds(t) {
			judge(t, g, "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", c.mutate(seed), signedFor("monitoring"))
		}
		judge(t, g, "GET", c.mutate("/snapshots/snap-0/blocks/1?blockToken=a&maxResults=100"), "", signedFor("ebs"))
		header := signedFor("ec2")
		header["Authorization"] = c.mutate(header["Authorization"])
		judge(t, g, "POST", "/", "Action=DescribeInstances", header)
	}
}

// mutate changes a text in a few places.
func (c chance) mutate(s string) string {
	b := []byte(s)
	for range 1 + c.IntN(4) {
		if len(b) == 0 {
			return ""
		}
		at := c.IntN(len(b))
		switch c.IntN(5) {
		case 0:
			b = append(b[:at:at], b[at+1:]...)
		case 1:
			b[at] = byte(c.IntN(256))
		case 2:
			const special = "\x00.&=%{}[]\",:/0123456789-\xff\xbf\x9f"
			b = slices.Insert(b, at, special[c.IntN(len(special))])
		case 3:
			end := min(at+c.IntN(16), len(b))
			b = slices.Concat(b[:end], b[at:end], b[end:])
		default:
			b = b[:at]
		}
	}
	return string(b)
}
