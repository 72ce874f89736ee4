package s3

// Page lets listings have pages of so many names.
func Page(c *Catalog, names int32) { c.bucket.page = names }

// EntryName returns the name of the object of an entry.
func EntryName(seq int64) string { return entryName(seq) }
