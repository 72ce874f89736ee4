package wire_test

import (
	"context"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// thing has a member of every kind, also those that no operation of today has in every protocol.
type thing struct {
	Text    *string
	Flag    *bool
	Small   *int32
	Ratio   *float64
	At      *time.Time
	Bytes   []byte
	Labels  map[string]string
	Deep    map[string][]thing
	Numbers []int32
}

// thingShape is the model of thing.
func thingShape() *models.Shape {
	scalar := func(kind string) *models.Shape { return &models.Shape{Type: kind} }
	of := func(s *models.Shape) *models.Member { return &models.Member{Shape: s} }
	thing := &models.Shape{Name: "Thing", Type: "structure"}
	things := &models.Shape{Type: "list", Elem: of(thing)}
	thing.Members = []models.Member{
		{Name: "Text", Shape: scalar("string")},
		{Name: "Flag", Shape: scalar("boolean")},
		{Name: "Small", Shape: scalar("integer")},
		{Name: "Ratio", Shape: scalar("double")},
		{Name: "At", Shape: scalar("timestamp")},
		{Name: "Bytes", Shape: scalar("blob")},
		{Name: "Labels", Shape: &models.Shape{Type: "map", Key: of(scalar("string")), Value: of(scalar("string"))}},
		{Name: "Deep", Shape: &models.Shape{Type: "map", Key: of(scalar("string")), Value: of(things)}},
		{Name: "Numbers", Shape: &models.Shape{Type: "list", Flattened: true, Elem: of(scalar("integer"))}},
	}
	return thing
}

func fullThing() *thing {
	at := time.Date(2026, 9, 27, 4, 28, 26, 250e6, time.UTC)
	return &thing{
		Text: aws.String("a\"<&>\x7f€"), Flag: aws.Bool(false), Small: aws.Int32(math.MinInt32), Ratio: aws.Float64(80), At: &at, Bytes: []byte{0, 255},
		Labels: map[string]string{"b": "2", "a": "1"}, Deep: map[string][]thing{"x": {{Flag: aws.Bool(true)}, {}}, "y": {}}, Numbers: []int32{3, 1},
	}
}

func TestJSONOfEveryKind(t *testing.T) {
	text, back, err := wire.RecodeJSON(thingShape(), fullThing())
	if err != nil || !reflect.DeepEqual(back, fullThing()) {
		t.Errorf("got %v %+v", err, back)
	}
	want := `{"At":1.79048330625E9,"Bytes":"AP8=","Deep":{"x":[{"Flag":true},{}],"y":[]},"Flag":false,"Labels":{"a":"1","b":"2"},"Numbers":[3,1],"Ratio":80.0,"Small":-2147483648,"Text":"a\"<&>` + "\x7f€" + `"}`
	want = strings.Replace(want, `a"<`, `a\"<`, 1)
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestCBOROfEveryKind(t *testing.T) {
	if back, err := wire.RecodeCBOR(thingShape(), fullThing()); err != nil || !reflect.DeepEqual(back, fullThing()) {
		t.Errorf("got %v %+v", err, back)
	}
}

func TestNumbersThatJSONCannotSay(t *testing.T) {
	for f, want := range map[float64]string{math.Inf(1): `"Infinity"`, math.Inf(-1): `"-Infinity"`} {
		text, back, err := wire.RecodeJSON(thingShape(), &thing{Ratio: &f})
		if got, ok := back.(*thing); err != nil || !ok || text != `{"Ratio":`+want+`}` || *got.Ratio != f {
			t.Errorf("%v: %s %v %v", f, text, back, err)
		}
	}
	nan := math.NaN()
	if text, back, err := wire.RecodeJSON(thingShape(), &thing{Ratio: &nan}); err != nil || text != `{"Ratio":"NaN"}` || !math.IsNaN(*back.(*thing).Ratio) {
		t.Errorf("%s %v %v", text, back, err)
	}
}

func TestXMLOfEveryKind(t *testing.T) {
	text, err := wire.WriteXML(thingShape(), fullThing())
	want := "<Text>a&quot;&lt;&amp;&gt;\x7f€</Text><Flag>false</Flag><Small>-2147483648</Small><Ratio>80.0</Ratio><At>2026-09-27T04:28:26.250Z</At><Bytes>AP8=</Bytes>" +
		"<Labels><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>2</value></entry></Labels>" +
		"<Deep><entry><key>x</key><value><member><Flag>true</Flag></member><member></member></value></entry><entry><key>y</key><value></value></entry></Deep>" +
		"<Numbers>3</Numbers><Numbers>1</Numbers>"
	if err != nil || text != want {
		t.Errorf("got  %s %v\nwant %s", text, err, want)
	}
}

func TestXMLEscapes(t *testing.T) {
	text, err := wire.WriteXML(thingShape(), &thing{Text: aws.String("\x00\r\n\t\uFFFE\uFFFD\xff]]>")})
	if want := "<Text>\uFFFD&#xD;\n\t\uFFFD\uFFFD\uFFFD]]&gt;</Text>"; err != nil || text != want {
		t.Errorf("got %q %v", text, err)
	}
}

func TestFormOfEveryKind(t *testing.T) {
	var got thing
	unused, err := wire.ReadForm(thingShape(), "Text=a%22%3C%26%3E%7F%E2%82%AC&Flag=FALSE&Small=-2147483648&Ratio=8e1&At=2026-09-27T04:28:26.25Z&Bytes=AP8%3D&Labels.entry.1.key=a&Labels.entry.1.value=1"+
		"&Labels.entry.2.key=b&Labels.entry.2.value=2&Deep.entry.1.key=x&Deep.entry.1.value.member.1.Flag=1&Deep.entry.1.value.member.2=&Deep.entry.2.key=y&Deep.entry.2.value=&Numbers.2=1&Numbers.1=3", &got)
	if err != nil || unused != "" || !reflect.DeepEqual(&got, fullThing()) {
		t.Errorf("got %+v %q %v", got, unused, err)
	}
}

func TestFormsThatDoNotFit(t *testing.T) {
	for form, want := range map[string]string{
		"Text.1=a": "Text.1", "Labels.entry.x.key=a": "Labels.entry.x.key", "Labels.1.key=a": "Labels.1.key", "Deep=1": "Deep",
		"Numbers.x=1": "Numbers.x", "Numbers=1": "Numbers", "Labels.entry.1.key.2=a": "Labels.entry.1.key.2", "Z=1&Y.A=1&Y=1": "Y",
		"Labels=": "", "Numbers=": "", "Deep.entry.1.key=a": "",
	} {
		if unused, err := wire.ReadForm(thingShape(), form, &thing{}); err != nil || unused != want {
			t.Errorf("%s: %q %v", form, unused, err)
		}
	}
	if _, err := wire.ReadForm(thingShape(), strings.Repeat("a=&", 30000), &thing{}); err == nil {
		t.Error("took 30000 parameters")
	}
}

func TestTimesOfForms(t *testing.T) {
	for text, want := range map[string]string{
		"2026-09-27T04:28:26Z": "2026-09-27T04:28:26Z", "2026-09-27T06:28:26%2B02:00": "2026-09-27T04:28:26Z", "2026-09-27T04:28:26.5": "2026-09-27T04:28:26.5Z",
		"2026-09-27T04:28Z": "2026-09-27T04:28:00Z", "2026-09-27": "2026-09-27T00:00:00Z", "1790483306.25": "2026-09-27T04:28:26.25Z", "-1": "1969-12-31T23:59:59Z",
		"1e300": "", "NaN": "", "tomorrow": "", "9999-12-31T23:59:59Z": "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00": "", "0000-01-01T00:00:00%2B01:00": "",
	} {
		var got thing
		_, err := wire.ReadForm(thingShape(), "At="+text, &got)
		if err != nil || want != "" && got.At.Format(time.RFC3339Nano) != want || want == "" && !got.At.IsZero() {
			t.Errorf("%s: %v %v", text, got.At, err)
		}
	}
}

// Texts that are no UTF-8 could not be kept on record as they are.
func TestTextsThatAreNone(t *testing.T) {
	for _, form := range []string{"Text=%ff", "Text=a\xffb", "%c3=a", "Text=%ed%a0%80"} {
		if _, err := wire.ReadForm(thingShape(), form, &thing{}); err == nil {
			t.Errorf("%q is taken", form)
		}
	}
	var got thing
	if _, err := wire.ReadForm(thingShape(), "Text=%00%f0%9f%98%80%ef%bf%bd", &got); err != nil || *got.Text != "\x00\U0001F600\uFFFD" {
		t.Errorf("%v %q", err, aws.ToString(got.Text))
	}
}

func TestTypesThatDoNotFit(t *testing.T) {
	type odd struct{ Text *int32 }
	shape := &models.Shape{Type: "structure", Members: []models.Member{{Name: "Text", Shape: &models.Shape{Type: "string"}}}}
	if _, err := wire.WriteXML(shape, &odd{}); err == nil || !strings.Contains(err.Error(), ".Text is string in the model and int32 in Go") {
		t.Errorf("got %v", err)
	}
}

// An older client's GetMetricStatistics.
func TestCloudWatchInJSON(t *testing.T) {
	s := wire.NewService("monitoring")
	wire.Handle(s, func(_ context.Context, _ *wire.Call, in *cloudwatch.GetMetricStatisticsInput) (*cloudwatch.GetMetricStatisticsOutput, error) {
		return &cloudwatch.GetMetricStatisticsOutput{Datapoints: []cwtypes.Datapoint{{Timestamp: in.StartTime, Sum: aws.Float64(0.5)}}}, nil
	})
	send(t, newGateway(s), raw{
		service: "monitoring", header: map[string]string{"X-Amz-Target": "GraniteServiceVersion20100801.GetMetricStatistics", "Content-Type": "application/x-amz-json-1.0"},
		body: `{"Namespace":"n","MetricName":"m","StartTime":1.790483306E9,"EndTime":1790483307,"Period":60.0}`,
	}).wants(t, 200, `{"Datapoints":[{"Sum":0.5,"Timestamp":1.790483306E9}]}`)
}

func TestBytes(t *testing.T) {
	if b, err := wire.Bytes(strings.NewReader("abc")); err != nil || string(b) != "abc" {
		t.Errorf("got %q %v", b, err)
	}
}
