package localcloud

// CheckHandlers compares the handlers with the models of their operations.
func (c *Cloud) CheckHandlers() error { return c.engine.Load().check() }
