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
func (s *sending) rehearse(ctx context.Context, src *source) (err error) {
	cfg, err := s.config(false)
	if err != nil {
		return err
	}
	rejects, err := s.openRejects()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rejects.close(err == nil)) }()
	o := producer.PreviewOptions{Accounts: cards(cfg), Routes: publicRoutes(cfg.routes), Country: cfg.country, Now: s.now(), FailoverAfter: cfg.failoverAfter}
	lines := &lineBook{}
	o.Skipped = func(x producer.SkippedRecipient) error { return rejects.add(x, lines.of(x.Row)) }
	recipients := lines.note(src)
	b := s.reachable(ctx)
	if b != nil {
		defer b.Close()
	}
	s.askBalances(ctx, cfg, b, &o)
	var f producer.Forecast
	if b != nil {
		f, err = b.Preview(ctx, s.campaign, recipients, o)
	} else {
		f, err = producer.Preview(ctx, s.campaign, recipients, o)
	}
	if err != nil {
		return src.blank(err)
	}
	if s.json {
		return writeJSON(s.out, f)
	}
	if err := printForecast(s.out, s.page(), f, wording(s.campaign), s.now()); err != nil {
		return err
	}
	if rejects != nil {
		s.note("tuma: the %s left out are in %s", counted(f.Skipped, "recipient"), s.rejects)
	}
	s.noteHidden(src)
	s.note("tuma: nothing was enqueued")
	return nil
}

// cards are the accounts of a configuration as workers would publish them.
func cards(cfg *config) (out []producer.Account) {
	windows := map[string]string{}
	for country, h := range cfg.windows {
		windows[country] = h.String()
	}
	for _, acc := range cfg.accounts {
		w := acc.worker
		if w.Unit == "" {
			w.Unit = worker.UnitMessages
		}
		out = append(out, producer.Account{Name: acc.name, Provider: acc.info.Name, Info: acc.info, Rate: float64(w.Rate), Burst: float64(w.Burst),
			Unit: w.Unit, Sender: w.Sender, Price: w.Price, OnUnknown: w.OnUnknown, Country: cfg.country, Windows: windows})
	}
	return out
}

// publicRoutes returns routes as the producer's type.
func publicRoutes(routes []ledger.Route) (out []producer.Route) {
	for _, r := range routes {
		out = append(out, producer.Route(r))
	}
	return out
}

// reachableWithin is how long a rehearsal waits for a Redis that it can do without.
const reachableWithin = 2 * time.Second

// reachable connects to Redis, if it is there.
func (s *sending) reachable(ctx context.Context) *backend {
	ping, cancel := context.WithTimeout(ctx, reachableWithin)
	defer cancel()
	b, err := s.connect(ping)
	if err != nil {
		return nil
	}
	return b
}

// balanceWithin is how long a rehearsal waits for gateways.
const balanceWithin = 10 * time.Second

// askBalances asks gateways for the credit of accounts that the campaign may go through
// and no worker serves, which would ask for it.
func (s *sending) askBalances(ctx context.Context, cfg *config, b *backend, o *producer.PreviewOptions) {
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
	ctx, cancel := context.WithTimeout(ctx, balanceWithin)
	defer cancel()
	var asking sync.WaitGroup
	for i, acc := range cfg.accounts {
		if served(acc.name) || s.campaign.Via != acc.name && (s.campaign.Via != "" || !routed(acc.name)) || acc.worker.Provider == nil {
			continue
		}
		asking.Go(func() {
			if got, err := askBalance(ctx, acc); err == nil {
				o.Accounts[i].Balance, o.Accounts[i].BalanceAt = shownBalance(got), s.now()
			}
		})
	}
	asking.Wait()
}

// shownBalance writes a balance as workers note it.
func shownBalance(b providers.Balance) string {
	amount := strconv.FormatFloat(b.Amount, 'f', -1, 64)
	return strings.TrimSpace(b.Currency + " " + amount)
}

// lineBook remembers in which line of the file the last few rows stand.
type lineBook struct {
	lines [lineBookSize]int
	row   int
}

// lineBookSize is more than the rows of a page, which are planned together.
const lineBookSize = 4 * ledger.MaxPageRows

// note yields a source's recipients, and remembers their lines.
func (l *lineBook) note(src *source) func(func(producer.Recipient, error) bool) {
	return func(yield func(producer.Recipient, error) bool) {
		for r, err := range src.all() {
			l.row++
			l.lines[l.row%lineBookSize] = src.list.Line()
			if !yield(r, err) {
				return
			}
		}
	}
}

func (l *lineBook) of(row int) int { return l.lines[row%lineBookSize] }
