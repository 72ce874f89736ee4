package localcloud

// CheckHandlers compares the handlers with the models of their operations.
func (c *Cloud) CheckHandlers() error { return c.engine.Load().check() }

// Operations returns the operations that have handlers, by service.
func (c *Cloud) Operations() map[string][]string { return c.engine.Load().operations }

// Verify compares the records on disk with those in memory.
func (c *Cloud) Verify() error { return c.engine.Load().store.Verify() }
