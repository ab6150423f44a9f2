package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/producer"
)

// recordTimeout is the time limit of writing an entry of the audit log. It also applies after Ctrl-C, because the change has
// been made.
const recordTimeout = 5 * time.Second

// record writes an entry to the audit log about a change that the command has made. The parameters "object" and
// "detail" must not contain a number, a text or a secret. If the write fails, record prints a warning and returns no
// error, because the change has been made.
func record(ctx context.Context, a *app, b *backend, what, object, detail string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := audit.New(b.rdb).Add(ctx, audit.Entry{Who: createdBy(), What: what, Object: object, Detail: detail}); err != nil {
		a.note("tuma: warning: the change was made, but it could not be written to the audit log: %v", err)
	}
}

// recordEnqueue enters a new campaign in the audit log.
func recordEnqueue(ctx context.Context, a *app, b *backend, r producer.Receipt) {
	record(ctx, a, b, "campaign.create", r.ID, fmt.Sprintf("%d recipients", r.Total))
}

func newAudit(a *app) *cobra.Command {
	var after string
	var asJSON bool
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who changed what, by command or through the HTTP API",
		Long: `Audit prints who changed what, the oldest first: campaigns that were created,
paused, resumed, cancelled, retried, rescheduled or purged, accounts that were
held, released or given another rate, suppression lists, keys of the HTTP API,
and numbers that were forgotten. Each line has the time, the caller, the verb
and its object. The caller is a key of the HTTP API, with its name and ID, or
the user and host of a command. Entries contain no phone numbers and no texts.
Redis keeps about the last 100,000 entries.

Single messages have no entry: their created_by names the caller. The actions
of 'tuma gateway' have no entry, because they change only the gateway.`,
		Example: "  tuma audit --json | jq -r .what",
		Args:    takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			return a.withBackend(ctx, func(b *backend) error {
				p := a.screen()
				for e, err := range audit.New(b.rdb).Entries(ctx, after) {
					switch {
					case err != nil:
						return err
					case asJSON:
						err = json.NewEncoder(a.out).Encode(e)
					default:
						_, err = fmt.Fprintln(a.out, strings.TrimSpace(strings.Join([]string{p.Time(e.At), e.Who, e.What, e.Object, e.Detail}, "  ")))
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
	c.Flags().StringVar(&after, "after", "", "only entries after the entry with this `cursor`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return c
}
