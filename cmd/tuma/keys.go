package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/script"
)

func newKeys(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make, list, rotate and revoke keys of the HTTP API",
		Long: `Every request to the HTTP API of 'tuma serve' needs a key. The scopes of a key
are its permissions: read, send (which includes read) and admin (which includes
everything).

To replace a key without a gap, rotate it: the old key stays valid for a while.`,
		Example: "  tuma keys create --name shop --scopes send\n  tuma keys list\n  tuma keys revoke f742eeb916",
		Args:    takes(),
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newKeysCreate(a), newKeysList(a), newKeysRotate(a), newKeysRevoke(a))
	return c
}

func (a *app) keyStore(b *backend) *keys.Store {
	return keys.New(script.NewRunner(b.rdb, b.cfg.Redis.Durability))
}

func newKeysCreate(a *app) *cobra.Command {
	var k keys.Key
	var scopes []string
	var expires string
	var asJSON bool
	c := &cobra.Command{
		Use:   "create --name NAME --scopes SCOPES",
		Short: "Make a key and print it once",
		Long: `Create makes a key and prints it. Redis holds only a hash of the key, so Tuma
cannot show the key again.`,
		Example: `  tuma keys create --name shop --scopes send --accounts kobo-main --daily 50000
  tuma keys create --name dashboard --scopes read --expires-in 90d`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			for _, s := range scopes {
				k.Scopes = append(k.Scopes, keys.Scope(strings.TrimSpace(s)))
			}
			if expires != "" {
				d, err := config.ParseDuration(expires)
				if err != nil || d <= 0 {
					return misuse("--expires-in: %.40q must be a duration, such as 12h or 90d", expires)
				}
				k.ExpiresAt = a.now().Add(d).UTC()
			}
			return a.withBackend(ctx, func(b *backend) error {
				secret, made, err := a.keyStore(b).Create(ctx, k)
				if err != nil {
					return misuseError{err: err}
				}
				record(ctx, a, b, "key.create", made.ID, made.Name)
				return showKey(a, made, secret, asJSON)
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&k.Name, "name", "", "`name` of the caller, such as a service")
	f.StringSliceVar(&scopes, "scopes", nil, "what the key may do: `scopes` read, send and admin, separated by commas")
	f.StringSliceVar(&k.Accounts, "accounts", nil, "send only through these `accounts`, separated by commas (default: all)")
	f.StringSliceVar(&k.Senders, "senders", nil, "send only as these `senders`, separated by commas (default: all)")
	f.IntVar(&k.Daily, "daily", 0, "enqueue at most `N` messages a day in UTC; 0: no limit")
	f.IntVar(&k.PerSecond, "rate", 0, "at most `N` requests a second; 0: no limit")
	f.StringVar(&expires, "expires-in", "", "`duration` after which the key is not valid any more, e.g. 90d (default: never)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// showKey prints a new key. No later command can show the key again.
func showKey(a *app, made keys.Key, secret string, asJSON bool) error {
	if asJSON {
		return console.WriteJSON(a.out, struct {
			keys.Key
			Secret string `json:"key"`
		}{made, secret})
	}
	a.note("tuma: key %s of %s: this is the only time that it is shown", made.ID, made.Name)
	_, err := fmt.Fprintln(a.out, secret)
	return err
}

func newKeysRotate(a *app) *cobra.Command {
	overlap := "24h"
	var asJSON bool
	c := &cobra.Command{
		Use:   "rotate ID",
		Short: "Replace a key by a new one, and print the new key once",
		Long: `Rotate makes a new key with the properties of an old key, and prints the new
key. The old key stays valid for the time of --overlap, so that its caller can
change to the new key. Both keys count against the same limits.`,
		Example: "  tuma keys rotate f742eeb916 --overlap 7d",
		Args:    takes("ID"),
		RunE: a.verb(func(ctx context.Context, args []string) error {
			d, err := config.ParseDuration(overlap)
			if err != nil || d < 0 || d > keys.MaxOverlap {
				return misuse("--overlap: %.40q must be a duration of at most 30d, such as 12h; 0s ends the old key at once", overlap)
			}
			return a.withBackend(ctx, func(b *backend) error {
				secret, made, err := a.keyStore(b).Rotate(ctx, args[0], d)
				if errors.Is(err, keys.ErrNoKey) {
					return misuse("no key has the ID %.40q: tuma keys list shows all keys", args[0])
				}
				if err != nil {
					return err
				}
				record(ctx, a, b, "key.rotate", args[0], "new key "+made.ID)
				return showKey(a, made, secret, asJSON)
			})
		}),
	}
	c.Flags().StringVar(&overlap, "overlap", overlap, "`duration` for which the old key stays valid; at most 30d")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newKeysList(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys, without their secrets",
		Long: `List shows the keys of the HTTP API: what each key may do, when the key expires,
and when a caller last used the key.`,
		Example: "  tuma keys list --json",
		Args:    takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			return a.withBackend(ctx, func(b *backend) error {
				list, err := a.keyStore(b).List(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return console.WriteJSON(a.out, append([]keys.Key{}, list...))
				}
				p := a.screen()
				g := console.Table{Header: []string{"ID", "NAME", "SCOPES", "DAILY", "EXPIRES", "LAST USED"}, Right: []int{3}}
				for _, k := range list {
					var scopes []string
					for _, s := range k.Scopes {
						scopes = append(scopes, string(s))
					}
					daily, expires, used := "", "never", "never"
					if k.Daily > 0 {
						daily = console.FormatInt(k.Daily)
					}
					if !k.ExpiresAt.IsZero() {
						expires = p.Minute(k.ExpiresAt)
					}
					if !k.LastUsedAt.IsZero() {
						used = p.Minute(k.LastUsedAt)
					}
					g.Add(k.ID, k.Name, strings.Join(scopes, ","), daily, expires, used)
				}
				if len(g.Rows) == 0 {
					a.note("tuma: no keys; tuma keys create makes one")
					return nil
				}
				return p.Table(a.out, g)
			})
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newKeysRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a key invalid at once",
		Long: `Revoke makes a key invalid in all processes of 'tuma serve', from the next
request on. 'tuma keys list' shows the IDs of all keys.`,
		Example: "  tuma keys revoke f742eeb916",
		Args:    takes("ID"),
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withBackend(ctx, func(b *backend) error {
				found, err := a.keyStore(b).Revoke(ctx, args[0])
				if err != nil {
					return err
				}
				if !found {
					return misuse("no key has the ID %.40q: tuma keys list shows all keys", args[0])
				}
				record(ctx, a, b, "key.revoke", args[0], "")
				_, err = fmt.Fprintf(a.out, "key %s is revoked\n", args[0])
				return err
			})
		}),
	}
}
