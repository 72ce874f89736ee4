package state

// Tables returns the names of the tables that are kept.
func (r *Region) Tables() []string {
	var names []string
	for _, t := range r.allTables() {
		names = append(names, t.name)
	}
	return names
}

// BreakFile closes the file under the store, as a failing disk would.
func (s *Store) BreakFile() error { return s.keeper.db.Close() }
