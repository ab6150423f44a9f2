package server

import (
	"net/http"
	"time"
)

// Meter counts what the server does. Its methods are safe for concurrent use, and return at once.
type Meter interface {
	// Callback counts a callback of an account: its kind, its result ("ok", "invalid" or "failed") and the
	// time until its answer.
	Callback(account, kind, result string, d time.Duration)
	// Inbound counts a message that was stored for the first time.
	Inbound(account string)
	// OptOut counts opt-outs that were written.
	OptOut(account string, n int)
}

// noMeter is the Meter of a server without metrics.
type noMeter struct{}

// Callback implements Meter.
func (noMeter) Callback(string, string, string, time.Duration) {}

// Inbound implements Meter.
func (noMeter) Inbound(string) {}

// OptOut implements Meter.
func (noMeter) OptOut(string, int) {}

// resultOf returns the result of a callback that was answered with the given status.
func resultOf(status int) string {
	switch {
	case status < http.StatusMultipleChoices:
		return "ok"
	case status < http.StatusInternalServerError:
		return "invalid"
	}
	return "failed"
}
