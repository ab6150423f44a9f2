package usage

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed *.lua
var luaFiles embed.FS

func source(name string) string {
	b, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic("usage: " + err.Error())
	}
	return string(b)
}

// countScript also runs on a full Redis, because retention cannot delete a campaign before the campaign
// is counted.
var countScript = script.NewAlwaysAllowed("count", source("count"))

// countArgs are the arguments of count.lua that all accounts share.
type countArgs struct {
	Upload    string
	ExpiresAt time.Time
	ID        string
}

// accountArgs are the arguments of count.lua for each account.
type accountArgs struct {
	Account, Row, Rest string
	Messages, Segments int
	Cost               int64
}

// Count updates the usage of a month: it adds the messages that a campaign has sent since the last
// count of this campaign. The parameter "now" determines the month, in UTC. The parameter "sum" is a
// summary of the campaign. If the campaign has sent nothing since its last count, Count does nothing.
func (s *Store) Count(ctx context.Context, sum ledger.Summary, now time.Time) error {
	m := mark{sum.Upload, sum.Accepted + sum.Delivered + sum.Undelivered, sum.Segments}
	if m.messages == 0 || s.marked(sum.ID, m) {
		return nil
	}
	all, err := ledger.Usage(ctx, s.ledger, sum)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	month := now.UTC()
	first := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	args := script.Args(countArgs{Upload: sum.Upload, ExpiresAt: first.AddDate(0, KeptMonths+1, 0), ID: sum.ID})
	for _, u := range all {
		if u.Messages == 0 {
			continue
		}
		sender, err := s.sender(ctx, u.Account, sum.Spec.From)
		if err != nil {
			return err
		}
		id, name := keys.Owner(sum.Spec.CreatedBy)
		u.Account = cmp.Or(u.Account, "-")
		args = append(args, script.Args(accountArgs{Account: u.Account, Row: rowOf(u.Account, sender, id, name, u.Currency), Rest: rowOf(u.Account, Others, "", "", u.Currency),
			Messages: u.Messages, Segments: u.Segments, Cost: u.Cost})...)
	}
	if _, err := s.scripts.Run(ctx, countScript, append([]string{monthKey(first.Format(monthForm))}, stateKeys(sum.ID, sum.Spec.Message)...), args...); err != nil {
		return fmt.Errorf("count usage of %s: %w", sum.ID, err)
	}
	s.mark(sum.ID, m)
	return nil
}

// rowOf joins the parts of a row's name with tabs. It removes control characters from each part, so that
// a part contains no tab.
func rowOf(parts ...string) string {
	for i, p := range parts {
		parts[i] = strings.Map(func(r rune) rune {
			if r < ' ' || r == '\x7f' {
				return ' '
			}
			return r
		}, p)
	}
	return strings.Join(parts, "\t")
}

// The method "sender" returns the sender ID of a campaign at an account. It is the campaign's sender ID,
// or else the account's default.
func (s *Store) sender(ctx context.Context, account, from string) (string, error) {
	if from != "" || account == "" {
		return from, nil
	}
	s.mu.Lock()
	known, ok := s.senders[account]
	s.mu.Unlock()
	if ok && time.Since(known.read) < senderLife {
		return known.sender, nil
	}
	a, err := s.accounts.Account(ctx, account)
	if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
		return "", fmt.Errorf("count usage: %w", err)
	}
	s.mu.Lock()
	s.senders[account] = defaultSender{a.Sender, time.Now()}
	s.mu.Unlock()
	return a.Sender, nil
}

func (s *Store) marked(id string, m mark) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted[id] == m
}

func (s *Store) mark(id string, m mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.counted) >= maxMarks {
		clear(s.counted)
	}
	s.counted[id] = m
}
