// Package outage recognises errors that mean that Redis is away. Log lines with such an error have
// the level debug, because redisguard.Readiness already logs each outage once.
package outage

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// Level returns the level at which to log an error of an operation that uses Redis. If the error
// means that Redis is away, the level is debug. Otherwise it is the parameter "level".
func Level(err error, level zerolog.Level) zerolog.Level {
	if Away(err) {
		return zerolog.DebugLevel
	}
	return level
}

// Away reports whether an error means that Redis does not answer, or does not serve commands now.
func Away(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
		return true
	}
	return slices.ContainsFunc([]string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "NOREPLICAS"},
		func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}
