package localcloud

// SetFaults replaces the rules by which calls fail; an empty document removes them all.
func (c *Cloud) SetFaults(d Document) error { return nil }
