package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// readyPoll is how often notifySystemd checks whether the worker is ready.
const readyPoll = 200 * time.Millisecond

// notifySystemd reports to systemd (Type=notify) that the worker is ready, when the function "ready" returns nil.
// When ctx ends, notifySystemd reports that the worker stops. It returns after both reports, or at once if
// $NOTIFY_SOCKET is empty, because systemd then waits for no report.
func notifySystemd(ctx context.Context, ready func(context.Context) error, log zerolog.Logger) {
	send := func(state string) bool {
		sent, err := daemon.SdNotify(false, state)
		if err != nil {
			log.Warn().Err(err).Msg("systemd was not notified")
		}
		return sent
	}
	if !send("STATUS=waiting for redis") {
		return
	}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for waiting := true; waiting; {
		check, cancel := context.WithTimeout(ctx, readyTimeout)
		if waiting = ready(check) != nil; !waiting {
			send(daemon.SdNotifyReady + "\nSTATUS=sending")
		}
		cancel()
		select {
		case <-ctx.Done():
			waiting = false
		case <-tick.C:
		}
	}
	<-ctx.Done()
	send(daemon.SdNotifyStopping + "\nSTATUS=finishing the calls in flight")
}
