package wire_test

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// clients makes the SDK's client of each service.
func clients(c aws.Config) map[string]any {
	return map[string]any{
		"ec2": ec2.NewFromConfig(c), "autoscaling": autoscaling.NewFromConfig(c), "ebs": ebs.NewFromConfig(c), "ssm": ssm.NewFromConfig(c),
		"sts": sts.NewFromConfig(c), "monitoring": cloudwatch.NewFromConfig(c), "elasticloadbalancing": elb.NewFromConfig(c),
	}
}

// exchange is what a handler of every operation gets and gives.
type exchange struct {
	input  any
	output reflect.Value
}

// everything is a gateway that has a handler for every operation of every model, and the clients of it. Without x the handlers do nothing.
func everything(t testing.TB, x *exchange) (*wire.Gateway, map[string]any) {
	t.Helper()
	var services []*wire.Service
	for name, client := range clients(aws.Config{}) {
		model, err := models.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		s := wire.NewService(name)
		for operation := range model.Operations {
			if method, ok := reflect.TypeOf(client).MethodByName(operation); ok {
				wire.HandleAny(s, method.Type.In(2).Elem(), method.Type.Out(0).Elem(), func(_ context.Context, _ *wire.Call, in any) (any, error) {
					if x == nil {
						return reflect.Zero(method.Type.Out(0)).Interface(), nil
					}
					x.input = in
					return x.output.Interface(), nil
				})
			} else {
				t.Errorf("the SDK has no %s %s", name, operation)
			}
		}
		services = append(services, s)
	}
	g := wire.WithoutChecks(newGateway(services...))
	return g, clients(config(g))
}

func TestModelsFitTheSDK(t *testing.T) {
	g, _ := everything(t, &exchange{})
	if err := g.Check(); err != nil {
		t.Error(err)
	}
}

// Every operation of every service takes random inputs and gives random outputs through the SDK's own client.
func TestRoundTrip(t *testing.T) {
	var x exchange
	_, clients := everything(t, &x)
	for service, client := range clients {
		model, err := models.Load(service)
		if err != nil {
			t.Fatal(err)
		}
		flat := service != "ebs" && service != "ssm" && service != "monitoring"
		for _, name := range operations(model) {
			method := reflect.ValueOf(client).MethodByName(name)
			if !method.IsValid() {
				continue
			}
			t.Run(service+"/"+name, func(t *testing.T) {
				for seed := range uint64(4) {
					roundTrip(t, &x, method, model.Operations[name], seed, flat)
				}
			})
		}
	}
}

func operations(m *models.Model) []string {
	names := make([]string, 0, len(m.Operations))
	for name := range m.Operations {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func roundTrip(t *testing.T, x *exchange, method reflect.Value, op *models.Operation, seed uint64, flat bool) {
	t.Helper()
	c := newChance(seed)
	x.output = c.fill(op.Output, method.Type().Out(0).Elem())
	c.flat = flat
	sent := c.fill(op.Input, method.Type().In(1).Elem())
	if in, ok := reflect.TypeAssert[*ec2.CopySnapshotInput](sent); ok {
		in.SourceRegion = aws.String("us-east-1") // the SDK presigns a request to it
	}
	x.input = nil
	returned := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), sent})
	if err, _ := reflect.TypeAssert[error](returned[1]); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if in, ok := x.input.(*ec2.CopySnapshotInput); ok {
		in.PresignedUrl = sent.Interface().(*ec2.CopySnapshotInput).PresignedUrl // the SDK adds it
	}
	for _, d := range differences(op.Input, sent.Elem(), reflect.ValueOf(x.input).Elem(), "input") {
		t.Errorf("seed %d: %s", seed, d)
	}
	for _, d := range differences(op.Output, x.output.Elem(), returned[0].Elem(), "output") {
		t.Errorf("seed %d: %s", seed, d)
	}
}

// differences compares two structs by the members of the model.
func differences(shape *models.Shape, want, got reflect.Value, path string) (found []string) {
	if shape == nil {
		return nil
	}
	for i := range shape.Members {
		name := shape.Members[i].Name
		name = string(name[0]&^0x20) + name[1:]
		if _, ok := want.Type().FieldByName(name); !ok {
			continue
		}
		w, g := want.FieldByName(name), got.FieldByName(name)
		if r, ok := reflect.TypeAssert[io.Reader](w); ok {
			w, g = reflect.ValueOf(content(r)), reflect.ValueOf(content(g.Interface()))
		}
		if d := cmp.Diff(w.Interface(), g.Interface(), cmp.Exporter(func(reflect.Type) bool { return true }), nearTimes()); d != "" {
			found = append(found, fmt.Sprintf("%s.%s: %s", path, name, d))
		}
	}
	return found
}

// nearTimes takes times for equal that are the same millisecond: JSON and CBOR carry them as floating point numbers.
func nearTimes() cmp.Option {
	return cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Millisecond })
}

// What the models have and the SDK's structs have not, or not as a type of its own: nobody can be asked or told of it.
func TestMembersWithoutAField(t *testing.T) {
	var found []string
	for service := range clients(aws.Config{}) {
		for shape := range shapes(t, service) {
			for _, m := range shape.Members {
				if m.Shape.Union || m.Name == "DestinationRegion" && shape.Name == "CopySnapshotRequest" {
					found = append(found, service+" "+shape.Name+"."+m.Name)
				}
			}
		}
	}
	slices.Sort(found)
	want := []string{
		"ec2 CopySnapshotRequest.DestinationRegion", // the SDK sends it, and hides it
		"monitoring MetricAlarm.EvaluationCriteria", "monitoring MetricAlarm.EvaluationWindow",
		"monitoring PutMetricAlarmInput.EvaluationCriteria", "monitoring PutMetricAlarmInput.EvaluationWindow",
	}
	if !slices.Equal(found, want) {
		t.Errorf("got %q", found)
	}
}

func TestUnionsAreRefused(t *testing.T) {
	g, _ := everything(t, nil)
	_, err := cloudwatch.NewFromConfig(config(g)).PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("a"), EvaluationCriteria: &cwtypes.EvaluationCriteriaMemberPromQLCriteria{Value: cwtypes.AlarmPromQLCriteria{Query: aws.String("up")}},
	})
	if err == nil || !strings.Contains(err.Error(), "This cloud does not model member EvaluationCriteria") {
		t.Errorf("got %v", err)
	}
}

func TestPatternsCompile(t *testing.T) {
	for service := range clients(aws.Config{}) {
		for shape := range shapes(t, service) {
			if !wire.Compile(shape.Pattern) {
				t.Errorf("pattern of %s %s: %s", service, shape.Name, shape.Pattern)
			}
		}
	}
}

// shapes returns all that the operations of a service are made of.
func shapes(t *testing.T, service string) map[*models.Shape]bool {
	t.Helper()
	model, err := models.Load(service)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[*models.Shape]bool{}
	var visit func(s *models.Shape)
	visit = func(s *models.Shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		for i := range s.Members {
			visit(s.Members[i].Shape)
		}
		for _, m := range []*models.Member{s.Elem, s.Key, s.Value} {
			if m != nil {
				visit(m.Shape)
			}
		}
	}
	for _, op := range model.Operations {
		visit(op.Input)
		visit(op.Output)
	}
	return seen
}
