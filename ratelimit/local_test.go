package ratelimit

import (
	"slices"
	"testing"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	runSuite(t, openLocal(t), slices.Concat(rules, traffic)...)
}
