package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// These are the ports of `tuma dev` that README.md names. The command "readme" replaces them
// by free ports.
const (
	redisPort   = "6390"
	sandboxPort = "8025"
)

// checkSandbox requests the counts of the sandbox that `tuma dev` runs. It returns an error if
// no message has arrived, or if a message has arrived twice. In both cases the commands of the
// page have not sent a campaign correctly.
func (r *reader) checkSandbox(ctx context.Context) error {
	url := "http://127.0.0.1:" + r.ports[sandboxPort] + "/_sandbox/stats"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("counts of the sandbox: %w", err)
	}
	defer answer.Body.Close()
	var counts struct{ Accepted, Duplicates int }
	if err := json.NewDecoder(answer.Body).Decode(&counts); err != nil {
		return fmt.Errorf("counts of the sandbox: %w", err)
	}
	fmt.Fprintf(r.out, "-- the sandbox of tuma dev has %d messages, %d of them twice\n", counts.Accepted, counts.Duplicates)
	if counts.Accepted == 0 || counts.Duplicates > 0 {
		return fmt.Errorf("the sandbox of tuma dev has %d messages and %d duplicates, want at least one message and no duplicate", counts.Accepted, counts.Duplicates)
	}
	return nil
}
