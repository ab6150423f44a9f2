package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/moment"
)

func newReschedule(a *app) *cobra.Command {
	var zoneName string
	c := &cobra.Command{
		Use:   "reschedule ID TIME",
		Short: "Move the start of a campaign that has not begun",
		Long: `Reschedule moves the start of a scheduled campaign, and prints the new start.
TIME is a time as people write it: 'tomorrow 08:00', '2026-11-29 08:00', 08:00,
'in 2h', 'now', or RFC 3339. --zone sets its time zone. Without --zone it is the
zone of default_country if that country has only one zone, or else the zone of
this machine.

An expiry that was set with --expires-in moves with the start. An expiry that
was set with --expires-at stays. A campaign that has begun is not changed.`,
		Example: `  tuma reschedule sale-2025-11 'tomorrow 08:00'
  tuma reschedule sale-2025-11 now`,
		Args:              takes("ID", "TIME"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			zone, err := zoneFor(a, zoneName, "")
			if err != nil {
				return err
			}
			now := a.now()
			m, err := moment.Parse(args[1], now, zone)
			if err != nil {
				return misuse("TIME: %.60q: %w", args[1], err)
			}
			if !m.Now && !m.At.After(now) {
				return misuse("TIME: %s is in the past: use a later time, or 'now'", moment.Describe(m.At, now, zone))
			}
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				if err := b.Reschedule(ctx, id, m.At); err != nil {
					return err
				}
				record(ctx, a, b, "campaign.reschedule", id, m.At.UTC().Format(time.RFC3339))
				_, err := fmt.Fprintf(a.out, "%s starts %s\n", id, startText(m, now, zone))
				return err
			})
		}),
	}
	c.Flags().StringVar(&zoneName, "zone", "", "time `zone` of TIME, such as Africa/Nairobi (default: the zone of the country if the country has only one zone, else the zone of this machine)")
	return c
}

// startText describes the new start of a campaign.
func startText(m moment.Moment, now time.Time, zone *time.Location) string {
	if m.Now {
		return "now"
	}
	t := sendTimes{zone: zone, now: now}
	return t.describe(m.At)
}
