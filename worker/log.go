package worker

import (
	"fmt"

	"github.com/rs/zerolog"
)

// asynqLogger writes asynq's log lines to the worker's logger. See levelOf.
type asynqLogger struct {
	log     zerolog.Logger
	levelOf func(zerolog.Level) zerolog.Level
}

// levelOf returns the level of a log line about an error in the background. While
// Redis does not answer or refuses writes, it is the debug level, because every loop of the worker
// would log the same fault each second, and Readiness has logged it. Otherwise it is the given level.
func (w *Worker) levelOf(level zerolog.Level) zerolog.Level {
	if w.readiness.Explains() {
		return zerolog.DebugLevel
	}
	return level
}

// Debug logs at debug level.
func (l asynqLogger) Debug(args ...any) { l.log.Debug().Msg(fmt.Sprint(args...)) }

// Info logs at debug level, because asynq's info lines are about asynq itself.
func (l asynqLogger) Info(args ...any) { l.log.Debug().Msg(fmt.Sprint(args...)) }

// Warn logs at warn level.
func (l asynqLogger) Warn(args ...any) {
	l.log.WithLevel(l.levelOf(zerolog.WarnLevel)).Msg(fmt.Sprint(args...))
}

// Error logs at error level.
func (l asynqLogger) Error(args ...any) {
	l.log.WithLevel(l.levelOf(zerolog.ErrorLevel)).Msg(fmt.Sprint(args...))
}

// Fatal logs at error level and does not end the process, unlike asynq's logger.
func (l asynqLogger) Fatal(args ...any) { l.log.Error().Msg(fmt.Sprint(args...)) }
