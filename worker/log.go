package worker

import (
	"fmt"

	"github.com/rs/zerolog"
)

// asynqLogger writes asynq's log lines to the worker's logger.
type asynqLogger struct{ log zerolog.Logger }

// Debug logs at debug level.
func (l asynqLogger) Debug(args ...any) { l.log.Debug().Msg(fmt.Sprint(args...)) }

// Info logs at debug level, because asynq's info lines are about asynq itself.
func (l asynqLogger) Info(args ...any) { l.log.Debug().Msg(fmt.Sprint(args...)) }

// Warn logs at warn level.
func (l asynqLogger) Warn(args ...any) { l.log.Warn().Msg(fmt.Sprint(args...)) }

// Error logs at error level.
func (l asynqLogger) Error(args ...any) { l.log.Error().Msg(fmt.Sprint(args...)) }

// Fatal logs at error level and does not end the process, unlike asynq's logger.
func (l asynqLogger) Fatal(args ...any) { l.log.Error().Msg(fmt.Sprint(args...)) }
