package bake

import "time"

// Keep returns those of images, all of one name and oldest first, whose disks are kept at the moment now. held tells which
// versions are in a channel: they are kept in any case, and so is the newest image.
func (r Retain) Keep(images []Image, held func(Ref) bool, now time.Time) []Image {
	if r == (Retain{}) {
		return images
	}
	var kept []Image
	for i, img := range images {
		newer := len(images) - 1 - i
		young := r.For > 0 && now.Sub(img.Created) < time.Duration(r.For)
		if newer == 0 || newer < r.Last || young || held(img.Ref) {
			kept = append(kept, img)
		}
	}
	return kept
}
