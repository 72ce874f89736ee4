package refresh

// Bounds returns the fewest instances that must be in service and healthy, and the most that may be in service or pending, while a refresh replaces
// instances of a group of the desired capacity. Documented: the minimum is rounded up.
//
// Where no instance could be replaced within both, the bound that the request cares less about gives way by one: an explicit maximum is exceeded, for
// then a launch comes before a termination, and where there is none an instance is terminated while its replacement is launched.
func (p Preferences) Bounds(desired int) (least, most int) {
	least = (p.MinHealthy*desired + 99) / 100
	most = desired
	if p.MaxHealthy > 100 {
		most = p.MaxHealthy * desired / 100
	}
	if desired > 0 && least >= desired && most <= desired {
		if p.MaxHealthy > 0 && !p.InPlace {
			most = desired + 1
		} else {
			least = desired - 1
		}
	}
	return least, most
}
