//go:build !race

package main

// These tests read the whole tree. With the race detector they would take a minute. The program has one goroutine, so
// the race detector could find nothing. Therefore .ci/run runs these tests in a step without the race detector.

import (
	"strings"
	"testing"
)

const tree = "../../.."

// TestWords checks that the tree has no more hits than words.txt allows. It also fails if the tree has
// at least 10 % and two hits fewer than words.txt allows, because then the limit must be lowered.
func TestWords(t *testing.T) {
	t.Parallel()
	r, err := parseRules(list)
	if err != nil {
		t.Fatalf("words.txt: %v", err)
	}
	c, err := r.measure(tree, ".")
	if err != nil {
		t.Fatal(err)
	}
	if c.commentLines < 1000 {
		t.Fatalf("found only %d comment lines: the check reads the wrong folder", c.commentLines)
	}
	for _, message := range r.check(c) {
		t.Error(message)
	}
	t.Logf("%.1f hits per 1,000 comment lines, %d hits in Markdown", c.density(), len(c.inMarkdown))
}

// A sample has each of its texts once, and depends only on the seed.
func TestSample_IsReproducible(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) string {
		var b strings.Builder
		if err := printSample(&b, tree, seed); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := draw(7)
	if first != draw(7) || first == draw(8) {
		t.Error("the sample of one seed differs, or the samples of two seeds are equal")
	}
	if c, m := strings.Count(first, ". comment, "), strings.Count(first, ". message, "); c != sampleComments || m != sampleMessages {
		t.Errorf("the sample has %d comments and %d messages, want %d and %d", c, m, sampleComments, sampleMessages)
	}
}
