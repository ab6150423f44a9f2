package worker_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/providers/providertest"
)

// quiet drops what go-redis says of a Redis that a test has killed.
type silentLogger struct{}

// Printf is go-redis's.
func (silentLogger) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silentLogger{})
	goleak.VerifyTestMain(providertest.Guarded(m))
}
