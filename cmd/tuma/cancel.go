package main

import (
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

func newCancel(a *app) *cobra.Command {
	return newStopCommand(a, stopCommand{
		use:   "cancel ID",
		short: "End a campaign permanently",
		long: `Cancel ends a campaign permanently. Recipients whose call has not started are
skipped, with the reason "cancelled". Calls already in flight finish and are
counted; the command waits for them unless --no-wait is given. A campaign that
has already ended is not changed; the exit status is still 0.`,
		example: "  tuma cancel sale-2025-11",
		stop:    (*producer.Client).Cancel,
		done:    "is cancelled",
	})
}
