package tracing

import "github.com/rs/zerolog"

// LogID returns a function that adds the ID of a trace to a log line. For an empty ID, the
// function adds no field.
func LogID(traceID string) func(*zerolog.Event) {
	return func(e *zerolog.Event) {
		if traceID != "" {
			e.Str("trace_id", traceID)
		}
	}
}
