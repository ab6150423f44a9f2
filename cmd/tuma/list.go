package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
)

func newList(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List campaigns, newest first",
		Long: `List shows all campaigns. A campaign that has ended stays listed for the time
"retention" of the configuration (30 days by default).`,
		Example: `  tuma list
  tuma list --json | jq -r '.[] | select(.state == "paused") | .id'`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			return a.withBackend(ctx, func(b *backend) error {
				if asJSON {
					return a.listJSON(ctx, b)
				}
				g := console.Table{
					Header: []string{"ID", "STATE", "TOTAL", "PENDING", "ACCEPTED", "DELIVERED", "REJECTED", "UNKNOWN", "SKIPPED", "CREATED"},
					Right:  []int{2, 3, 4, 5, 6, 7, 8},
				}
				for st, err := range b.List(ctx) {
					if err != nil {
						return err
					}
					g.Add(st.ID, string(st.State), console.FormatInt(st.Total), console.FormatInt(st.Pending), console.FormatInt(st.Accepted), console.FormatInt(st.Delivered),
						console.FormatInt(st.Rejected), console.FormatInt(st.Unknown), console.FormatInt(st.Skipped), console.FormatTime(st.CreatedAt))
				}
				if len(g.Rows) == 0 {
					a.note("tuma: no campaigns; tuma send enqueues one")
					return nil
				}
				return g.Print(a.out)
			})
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: an array of the objects of tuma status --json, with blocked_by empty")
	return c
}

// listJSON prints the campaigns as a JSON array, without holding all of them in memory.
func (a *app) listJSON(ctx context.Context, b *backend) error {
	separator := "[\n"
	for st, err := range b.List(ctx) {
		if err != nil {
			return err
		}
		line, err := json.Marshal(st)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.out, "%s%s", separator, line); err != nil {
			return err
		}
		separator = ",\n"
	}
	end := "\n]\n"
	if separator == "[\n" {
		end = "[]\n"
	}
	_, err := fmt.Fprint(a.out, end)
	return err
}
