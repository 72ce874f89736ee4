package template

import (
	"fmt"
	"strings"
)

// didYouMean tells what to write instead of an unknown word: the nearest of the known ones, or which there are; ifNone where
// there are none.
func didYouMean(word string, known []string, ifNone string) string {
	if len(known) == 0 {
		return ifNone
	}
	if best, ok := Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(known) == 1 {
		return fmt.Sprintf("write %q", known[0])
	}
	return "write one of " + strings.Join(known, ", ")
}

// Nearest returns the known word with the least edit distance from word, if at most every third letter or so differs.
func Nearest(word string, known []string) (best string, ok bool) {
	least := 1 + max(1, len(word)/3)
	for _, k := range known {
		if d := len(k) - len(word); d >= least || -d >= least {
			continue // also keeps a word of a megabyte from taking minutes
		}
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best, best != ""
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour that turns a into b.
func distance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			differs := 1
			if a[i-1] == b[j-1] {
				differs = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+differs)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
