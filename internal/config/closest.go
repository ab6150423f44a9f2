package config

import "strings"

// The function "suggest" returns the text "did you mean X?", in which X is the known key that is
// closest to the given key. If no known key is close, it returns a list of all known keys.
func suggest(key string, known []string) string {
	if best := Closest(key, known); best != "" {
		return "did you mean " + best + "?"
	}
	return "known keys: " + strings.Join(known, ", ")
}

// Closest returns the known word with the smallest edit distance to the given word. It returns an
// empty string if this distance is above two, or if it is not less than the length of the given word.
func Closest(word string, known []string) string {
	best, distance := "", min(3, len(word))
	for _, k := range known {
		if d := editDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance returns how many bytes must be inserted, deleted or replaced to change a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
