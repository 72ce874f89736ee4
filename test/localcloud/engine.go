package localcloud

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
	"github.com/iibake/iibake/test/localcloud/internal/image"
	"github.com/iibake/iibake/test/localcloud/internal/s3"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// ahead is how far a clock at full speed goes after the last request: see clock.Virtual.Run.
const ahead = time.Minute

// engine is everything that a Reset replaces.
type engine struct {
	config   Config
	virtual  *clock.Virtual // nil in a cloud of real machines
	store    *state.Store
	blocks   *disk.Store
	driver   compute.Driver
	faults   *fault.Rules
	buckets  *s3.Server
	images   *image.Service
	services http.Handler
	closers  []func() error // the last one first

	// For tests:
	check      func() error // of the handlers against the models
	operations map[string][]string
}

// startEngine goes on from the state in the folder, or begins anew.
func startEngine(c Config) (_ *engine, err error) {
	e := &engine{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	if err := e.openState(); err != nil {
		return nil, err
	}
	if e.blocks, err = disk.Open(c.Blocks); err != nil {
		return nil, err
	}
	e.closers = append(e.closers, e.blocks.Close)
	if err := e.assemble(); err != nil {
		return nil, err
	}
	e.runClock()
	return e, nil
}

// openState makes the clock and opens the records. The time of a simulation that was ended does not go back when it is
// started again; that of one that was killed goes back to its last record.
func (e *engine) openState() error {
	var c clock.Clock = clock.Real{}
	if e.config.Simulate {
		e.virtual = clock.NewVirtual(e.config.Start)
		c = e.virtual
	}
	if e.config.Dir == "" {
		e.store = state.New(c)
		return nil
	}
	var err error
	if e.store, err = state.Open(e.config.Dir, c); err != nil {
		return err
	}
	e.closers = append(e.closers, e.store.Close)
	if last := e.store.LastTime(); e.virtual != nil && last.After(e.virtual.Now()) {
		e.virtual.Advance(last.Sub(e.virtual.Now()))
	}
	return nil
}

// runClock lets a virtual clock move by itself until the engine is closed.
func (e *engine) runClock() {
	speed := e.config.Speed
	if e.virtual == nil || speed == 0 {
		return
	}
	e.background(func(ctx context.Context) {
		if speed == Fast {
			e.virtual.Run(ctx, ahead)
		} else {
			e.virtual.Scale(ctx, speed)
		}
	})
}

// background runs f until the engine is closed.
func (e *engine) background(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { f(ctx) })
	e.closers = append(e.closers, func() error {
		cancel()
		ended.Wait()
		return nil
	})
}

// keep returns when what was changed until now is on record.
func (e *engine) keep() error {
	err := e.store.Sync()
	if err != nil {
		e.config.Log.Error("the state cannot be kept: no answer will be given until it can", "error", err)
	}
	return err
}

func (e *engine) close() error {
	var errs []error
	for _, closer := range slices.Backward(e.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}
