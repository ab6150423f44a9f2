package main

import (
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

func newCancel(a *app) *cobra.Command {
	return newStopCommand(a, stopCommand{
		use:   "cancel ID",
		short: "End a campaign for good",
		long: `Cancel ends a campaign for good: recipients for whom no call has begun are skipped,
with the reason cancelled. Calls that are with a gateway at that moment are
finished and counted; cancel waits for them, unless --no-wait is given. Of a
campaign that has ended it says so, and has nothing to do.`,
		example: "  tuma cancel sale-2025-11",
		stop:    (*producer.Client).Cancel,
		done:    "is cancelled",
	})
}
