package ratelimit

import (
	"testing"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	runSuite(t, openLocal(t))
}
