package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// dryRun plans the campaign as a worker would, prints the forecast and enqueues nothing. dryRun
// needs only the configuration. If Redis answers, it uses the accounts that workers have published. If
// a gateway answers, it uses the balance at the gateway.
func (s *sendCommand) dryRun(ctx context.Context, src *source) (err error) {
	cfg, err := s.config(false)
	if err != nil {
		return err
	}
	skipped, err := s.openSkippedFile(src)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, skipped.close(err == nil)) }()
	o := producer.PreviewOptions{Accounts: configuredAccounts(cfg), Routes: publicRoutes(cfg.Routes), Country: cfg.Country, Now: s.now(), FailoverAfter: cfg.FailoverAfter}
	o.Skipped = skipped.add
	b := s.connectIfReachable(ctx)
	if b != nil {
		defer b.Close()
	}
	s.queryBalances(ctx, cfg, b, &o)
	var f producer.Forecast
	if b != nil {
		f, err = b.Preview(ctx, s.campaign, src.all(), o)
	} else {
		f, err = producer.Preview(ctx, s.campaign, src.all(), o)
	}
	if err != nil {
		return src.locateMissingField(err)
	}
	if s.json {
		notes := slices.Concat(textNotes(s.campaign), listNotes(src.list, s.campaign.Body), s.times.notes())
		if f.OtherText > 0 {
			notes = append(notes, otherTextNote(f.OtherText))
		}
		sheet, _ := src.list.Sheets()
		return console.WriteJSON(s.out, struct {
			producer.Forecast
			Notes []string `json:"notes"`
			Sheet string   `json:"sheet,omitempty"`
		}{f, append([]string{}, notes...), sheet})
	}
	if err := printForecast(s.out, s.screen(), f, textNotes(s.campaign), s.now()); err != nil {
		return err
	}
	if skipped != nil {
		s.note("tuma: %s skipped: listed in %s", console.Plural(f.Skipped, "recipient"), s.skippedFile)
	}
	s.noteList(src)
	for _, line := range s.times.notes() {
		s.note("tuma: note: %s", line)
	}
	s.note("tuma: dry run: nothing was enqueued")
	return nil
}

// publicRoutes converts routes to the producer's type.
func publicRoutes(routes []campaign.Route) (out []producer.Route) {
	for _, r := range routes {
		out = append(out, producer.Route(r))
	}
	return out
}

// redisProbeTimeout is how long a dry run waits for Redis. Then it continues without Redis.
const redisProbeTimeout = 2 * time.Second

// connectIfReachable connects to Redis. It returns nil if Redis does not answer.
func (s *sendCommand) connectIfReachable(ctx context.Context) *backend {
	ping, cancel := context.WithTimeout(ctx, redisProbeTimeout)
	defer cancel()
	b, err := s.connect(ping)
	if err != nil {
		return nil
	}
	return b
}

// balanceTimeout is how long a dry run waits for the balances from gateways.
const balanceTimeout = 10 * time.Second

// queryBalances asks the gateways for the balance of accounts that the campaign may use. It
// leaves out accounts that a worker serves, because workers publish their balance in Redis.
func (s *sendCommand) queryBalances(ctx context.Context, cfg *config.Config, b *backend, o *producer.PreviewOptions) {
	var published []producer.Account
	if b != nil {
		published, _ = b.Accounts(ctx) // on an error, published is nil, and queryBalances queries the gateways
	}
	served := func(name string) bool {
		return slices.ContainsFunc(published, func(a producer.Account) bool { return a.Name == name && a.Workers > 0 })
	}
	routed := func(name string) bool {
		return slices.ContainsFunc(cfg.Routes, func(r campaign.Route) bool { return slices.Contains(r.Via, name) })
	}
	ctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for i, acc := range cfg.Accounts {
		if served(acc.Name) || s.campaign.Via != acc.Name && (s.campaign.Via != "" || !routed(acc.Name)) || acc.Worker.Provider == nil {
			continue
		}
		asking.Go(func() {
			if got, err := queryBalance(ctx, acc); err == nil {
				o.Accounts[i].Balance, o.Accounts[i].BalanceAt = formatBalance(got), s.now()
			}
		})
	}
	asking.Wait()
}

// formatBalance formats a balance as workers publish it: "KES 250".
func formatBalance(b providers.Balance) string {
	amount := strconv.FormatFloat(b.Amount, 'f', -1, 64)
	return strings.TrimSpace(b.Currency + " " + amount)
}
