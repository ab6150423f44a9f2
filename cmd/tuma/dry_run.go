package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// rehearse plans everything as sending would, and enqueues nothing. The configuration is
// enough for it; what Redis and the gateways know is asked for as far as it can be.
func (s *sendCommand) dryRun(ctx context.Context, src *source) (err error) {
	cfg, err := s.config(false)
	if err != nil {
		return err
	}
	skipped, err := s.openSkippedFile()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, skipped.close(err == nil)) }()
	o := producer.PreviewOptions{Accounts: configuredAccounts(cfg), Routes: cfg.routes, Country: cfg.country, Now: s.now(), FailoverAfter: cfg.failoverAfter}
	lines := &lineNumbers{}
	o.Skipped = func(x producer.SkippedRecipient) error { return skipped.add(x, lines.line(x.Row)) }
	recipients := lines.record(src)
	b := s.connectIfReachable(ctx)
	if b != nil {
		defer b.Close()
	}
	s.queryBalances(ctx, cfg, b, &o)
	var f producer.Forecast
	if b != nil {
		f, err = b.Preview(ctx, s.campaign, recipients, o)
	} else {
		f, err = producer.Preview(ctx, s.campaign, recipients, o)
	}
	if err != nil {
		return src.locateMissingField(err)
	}
	if s.json {
		return writeJSON(s.out, f)
	}
	if err := printForecast(s.out, s.screen(), f, textNotes(s.campaign), s.now()); err != nil {
		return err
	}
	if skipped != nil {
		s.note("tuma: the %s left out are in %s", plural(f.Skipped, "recipient"), s.skippedFile)
	}
	s.noteHiddenRows(src)
	s.note("tuma: nothing was enqueued")
	return nil
}

// cards are the accounts of a configuration as workers would publish them.
func configuredAccounts(cfg *config) (out []producer.Account) {
	windows := map[string]string{}
	for country, h := range cfg.windows {
		windows[country] = h.String()
	}
	for _, acc := range cfg.accounts {
		w := acc.worker
		if w.Unit == "" {
			w.Unit = worker.UnitMessages
		}
		out = append(out, producer.Account{Card: ledger.Card{Name: acc.name, Provider: acc.info.Name, Info: acc.info, Rate: float64(w.Rate), Burst: float64(w.Burst),
			Unit: w.Unit, Sender: w.Sender, Price: w.Price, OnUnknown: w.OnUnknown, Country: cfg.country, Windows: windows}})
	}
	return out
}

// reachableWithin is how long a rehearsal waits for a Redis that it can do without.
const redisProbeTimeout = 2 * time.Second

// reachable connects to Redis, if it is there.
func (s *sendCommand) connectIfReachable(ctx context.Context) *backend {
	ping, cancel := context.WithTimeout(ctx, redisProbeTimeout)
	defer cancel()
	b, err := s.connect(ping)
	if err != nil {
		return nil
	}
	return b
}

// balanceWithin is how long a rehearsal waits for gateways.
const balanceTimeout = 10 * time.Second

// askBalances asks gateways for the credit of accounts that the campaign may go through
// and no worker serves, which would ask for it.
func (s *sendCommand) queryBalances(ctx context.Context, cfg *config, b *backend, o *producer.PreviewOptions) {
	var published []producer.Account
	if b != nil {
		published, _ = b.Accounts(ctx) // what Redis does not tell, gateways are asked for
	}
	served := func(name string) bool {
		return slices.ContainsFunc(published, func(a producer.Account) bool { return a.Name == name && a.Workers > 0 })
	}
	routed := func(name string) bool {
		return slices.ContainsFunc(cfg.routes, func(r ledger.Route) bool { return slices.Contains(r.Via, name) })
	}
	ctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for i, acc := range cfg.accounts {
		if served(acc.name) || s.campaign.Via != acc.name && (s.campaign.Via != "" || !routed(acc.name)) || acc.worker.Provider == nil {
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

// shownBalance writes a balance as workers note it.
func formatBalance(b providers.Balance) string {
	amount := strconv.FormatFloat(b.Amount, 'f', -1, 64)
	return strings.TrimSpace(b.Currency + " " + amount)
}

// lineBook remembers in which line of the file the last few rows stand.
type lineNumbers struct {
	lines [rememberedLines]int
	row   int
}

// lineBookSize is more than the rows of a page, which are planned together.
const rememberedLines = 4 * ledger.MaxPageRows

// note yields a source's recipients, and remembers their lines.
func (l *lineNumbers) record(src *source) func(func(producer.Recipient, error) bool) {
	return func(yield func(producer.Recipient, error) bool) {
		for r, err := range src.all() {
			l.row++
			l.lines[l.row%rememberedLines] = src.list.Line()
			if !yield(r, err) {
				return
			}
		}
	}
}

func (l *lineNumbers) line(row int) int { return l.lines[row%rememberedLines] }
