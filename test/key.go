package test

import (
	"fmt"

	"github.com/iibake/iibake/bake"
)

// Key returns the digest of how t is judged: its tests, its goss file and all that this includes. An image that was judged
// in another way is judged again.
func Key(t bake.Template) (bake.Digest, error) {
	files, err := gossFiles(t)
	if err != nil {
		return "", fmt.Errorf("tests of %s: %w", t.Name, err)
	}
	return keyOf(t.Tests, files)
}

func keyOf(tests bake.Tests, files map[string][]byte) (bake.Digest, error) {
	return bake.DigestJSON(struct {
		Tests bake.Tests
		Files map[string][]byte
	}{tests, files})
}
