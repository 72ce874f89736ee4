package localcloud

import (
	"net/http"
	"reflect"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// CheckHandlers compares the handlers with the models of their operations.
func (c *Cloud) CheckHandlers() error { return c.engine.Load().check() }

// Operations returns the operations that have handlers, by service.
func (c *Cloud) Operations() map[string][]string { return c.engine.Load().operations }

// Verify compares the records on disk with those in memory.
func (c *Cloud) Verify() error { return c.engine.Load().store.Verify() }

// PutOneOfEach puts an empty record of account 1 into every table of a region, and returns the names of the tables.
func (c *Cloud) PutOneOfEach(region string) (tables []string) {
	_ = c.engine.Load().store.Update(region, func(r *state.Region) error {
		for field, table := range reflect.ValueOf(r).Elem().Fields() {
			put, ok := reflect.PointerTo(field.Type).MethodByName("Put")
			if !ok || !field.IsExported() {
				continue
			}
			record := reflect.New(put.Type.In(2).Elem())
			table.Addr().MethodByName("Put").Call([]reflect.Value{reflect.ValueOf("1/" + field.Name), record})
			tables = append(tables, field.Name)
		}
		return nil
	})
	return tables
}

// KeptFirst answers through w, but only when keep says that what was changed is on record.
func KeptFirst(w http.ResponseWriter, keep func() error) http.ResponseWriter {
	return &keptFirst{ResponseWriter: w, keep: keep}
}
