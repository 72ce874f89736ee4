package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"sync"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// Options is what a Gateway stands in front of.
type Options struct {
	Services    []*Service   // with their handlers; what is added to them later is not served
	Accounts    Accounts     // who has which access key
	Clock       clock.Clock  // of the cloud
	Signing     clock.Clock  // of those who sign requests; nil: the host's. A virtual cloud has clients in real time
	Interceptor Interceptor  // may be nil
	S3          http.Handler // gets what is signed for s3, with CallOf in its context; may be nil
	Log         *slog.Logger // a line for each request, a stack for each panic; may be nil
}

// Gateway is the one endpoint of a cloud: it tells services, regions and accounts apart by the signatures of requests.
type Gateway struct {
	options   Options
	endpoints map[string]*endpoint
	unchecked bool      // in tests: inputs need not be as the model constrains them
	bodies    sync.Pool // of *bytes.Buffer
	answers   sync.Pool // of *answer
}

// endpoint is one service. Its model and its operations are read when the first request needs them.
type endpoint struct {
	model func() (*models.Model, error)
	plans map[string]func() (*plan, error)
}

// NewGateway returns the endpoint of a cloud.
func NewGateway(o Options) *Gateway {
	if o.Signing == nil {
		o.Signing = clock.Real{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{options: o, endpoints: map[string]*endpoint{}}
	for _, s := range o.Services {
		g.endpoints[s.name] = newEndpoint(s)
	}
	return g
}

func newEndpoint(s *Service) *endpoint {
	e := &endpoint{
		model: sync.OnceValues(func() (*models.Model, error) { return models.Load(s.name) }),
		plans: map[string]func() (*plan, error){},
	}
	for name, op := range s.operations {
		e.plans[name] = sync.OnceValues(func() (*plan, error) { return e.newPlan(name, op) })
	}
	return e
}

func (e *endpoint) newPlan(name string, op operation) (*plan, error) {
	model, err := e.model()
	if err != nil {
		return nil, err
	}
	if model.Operations[name] == nil {
		return nil, fmt.Errorf("operation %s is not in the model: add it to models/operations.txt and run models/prune.py", name)
	}
	return newPlan(op, model.Operations[name])
}

// Check says which handlers do not fit the models, which is for tests of the services: a gateway answers an internal failure there.
func (g *Gateway) Check() error {
	var errs []error
	for service, e := range g.endpoints {
		for _, plan := range e.plans {
			if _, err := plan(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", service, err))
			}
		}
	}
	return errors.Join(errs...)
}

// call is one request on its way through the gateway.
type call struct {
	*Call
	*request
	gateway  *Gateway
	endpoint *endpoint
	protocol protocol
	flaw     *flaw
	sign     signature
}

// perform does what is asked for and writes the good answer.
func (c *call) perform(ctx context.Context, a *answer) error {
	if e := c.admit(ctx); e != nil {
		return e
	}
	p, err := c.find()
	if err != nil {
		return err
	}
	input := reflect.New(p.operation.input)
	if e := c.protocol.decode(p, c.request, input.Elem()); e != nil {
		return e
	}
	if !c.gateway.unchecked {
		if e := check(c.protocol.dialect(), p, input.Elem()); e != nil {
			return e
		}
	}
	out, err := c.handle(ctx, p, input.Interface())
	if err != nil {
		return err
	}
	return c.protocol.encode(p, c.request, out, a)
}

// admit checks who asks.
func (c *call) admit(ctx context.Context) *Error {
	d := c.protocol.dialect()
	if c.flaw == nil {
		c.flaw = c.sign.fresh(c.gateway.options.Signing.Now())
	}
	if c.flaw != nil {
		return refuse(d, c.flaw)
	}
	who, err := c.gateway.options.Accounts.Identify(ctx, c.sign.key, c.sign.token)
	if err != nil {
		kind, ok := refusalOf(err)
		if !ok {
			return internal(d)
		}
		return refuse(d, &flaw{kind: kind})
	}
	c.Account, c.Caller = who.Account, who.ARN
	return nil
}

// find reads the operation and returns what is known of it.
func (c *call) find() (*plan, error) {
	name, e := c.protocol.operation(c.request)
	if e != nil {
		return nil, e
	}
	c.Operation = clip(name)
	plan := c.endpoint.plans[name]
	if plan == nil {
		return nil, unknownOperation(c.protocol.dialect(), c.Operation, c.model.Version)
	}
	return plan()
}

// handle calls the handler between the two sides of the interceptor.
func (c *call) handle(ctx context.Context, p *plan, input any) (reflect.Value, error) {
	i := c.gateway.options.Interceptor
	if i == nil {
		return p.call(ctx, c.Call, input)
	}
	c.Input = input // a Describe without filters takes other tokens than one with them
	if err := i.Before(ctx, c.Call); err != nil {
		return reflect.Value{}, err
	}
	out, err := p.call(ctx, c.Call, input)
	if err != nil {
		return out, err
	}
	if err := i.After(ctx, c.Call); err != nil {
		p.discard(out)
		return out, err
	}
	return out, nil
}

// call calls the handler. No output at all is an empty one.
func (p *plan) call(ctx context.Context, c *Call, input any) (reflect.Value, error) {
	given, err := p.handle(ctx, c, input)
	if err != nil {
		return reflect.Value{}, err
	}
	out := reflect.ValueOf(given)
	if out.IsNil() {
		out = reflect.New(p.operation.output)
	}
	return out.Elem(), nil
}

// discard closes what an output would have streamed.
func (p *plan) discard(out reflect.Value) {
	if f := p.output.streamed(); f != nil {
		if body, ok := reflect.TypeAssert[io.Closer](out.Field(f.index)); ok {
			_ = body.Close() // nobody reads it
		}
	}
}
