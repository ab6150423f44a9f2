package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// rehearsal is what `tuma send --dry-run` finds.
type rehearsal struct {
	Total   int            `json:"total"`
	Sent    int            `json:"would_send"`
	Skipped int            `json:"skipped"`
	Reasons map[string]int `json:"reasons"`
	// Invalid counts the invalid numbers by what exactly is wrong with them.
	Invalid map[string]int `json:"invalid"`
	// Calls is what an account needs for them; nil if nobody knows the account.
	Calls *int `json:"calls"`
	// Each message has Segments in Encoding; AllSegments are those of all of them.
	Segments    int    `json:"segments_each"`
	Encoding    string `json:"encoding"`
	AllSegments int    `json:"segments"`
	// Cost is by the account's configured price.
	Cost string `json:"cost,omitempty"`
	// Country is what national numbers were read as.
	Country string `json:"country"`
}

// rehearse reads everything as sending would, here and without asking workers,
// and enqueues nothing. Memory grows with the number of distinct recipients.
func (s *sending) rehearse(ctx context.Context, src *source) error {
	cfg, err := s.config(false)
	if err != nil {
		return err
	}
	account := s.knownAccount(ctx, cfg)
	country := cmp.Or(s.campaign.Country, account.country, cfg.country)
	if strings.TrimSpace(s.campaign.Body) == "" {
		return misuse("--body: it is empty")
	}
	r := rehearsal{Reasons: map[string]int{}, Invalid: map[string]int{}, Country: country}
	segments, encoding := sms.Segments(s.campaign.Body)
	caps := ledger.Spec{Body: s.campaign.Body, MaxMessages: s.campaign.MaxMessages, MaxSegments: s.campaign.MaxSegments}
	seen := map[sms.MSISDN]struct{}{}
	for recipient, err := range src.all() {
		if err != nil {
			return err
		}
		r.Total++
		number, err := sms.ParseMSISDN(recipient.Number, country)
		var bad *sms.NumberError
		if errors.As(err, &bad) {
			r.Reasons["invalid_number"]++
			r.Invalid[string(bad.Reason)]++
			continue
		}
		if _, twice := seen[number]; twice {
			r.Reasons["duplicate"]++
			continue
		}
		if caps.Capped(len(seen)) {
			r.Reasons["over_cap"]++
			continue
		}
		seen[number] = struct{}{}
	}
	r.Sent = len(seen)
	r.Skipped = r.Total - r.Sent
	r.Segments, r.Encoding, r.AllSegments = segments, encoding.String(), segments*r.Sent
	r.Cost = cost(account.price, r.AllSegments)
	if account.perCall > 0 {
		calls := (r.Sent + account.perCall - 1) / account.perCall
		r.Calls = &calls
	}
	if s.json {
		return writeJSON(s.out, r)
	}
	return s.printRehearsal(r)
}

// facts are what a rehearsal wants to know of the account.
type facts struct {
	perCall        int
	country, price string
}

// knownAccount asks the configuration, else Redis if it is there; an account that
// neither knows has no facts.
func (s *sending) knownAccount(ctx context.Context, cfg *config) facts {
	for _, acc := range cfg.accounts {
		if acc.name == s.campaign.Via && acc.worker.Provider != nil {
			return facts{acc.worker.Provider.Info().MaxRecipients, cfg.country, acc.worker.Price}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	b, err := s.connect(ctx)
	if err != nil {
		return facts{}
	}
	defer b.Close()
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return facts{}
	}
	for _, acc := range accounts {
		if acc.Name == s.campaign.Via {
			return facts{acc.Info.MaxRecipients, acc.Country, acc.Price}
		}
	}
	return facts{}
}

func (s *sending) printRehearsal(r rehearsal) error {
	g := grid{right: []int{1}}
	g.add("recipients", count(r.Total), "")
	g.add("would be sent", count(r.Sent), "")
	g.add("left out", count(r.Skipped), "")
	for _, reason := range slices.Sorted(maps.Keys(r.Reasons)) {
		detail := ""
		if reason == "invalid_number" {
			detail = tally(r.Invalid)
		}
		g.add("  "+reason, count(r.Reasons[reason]), detail)
	}
	if r.Calls != nil {
		g.add("calls", count(*r.Calls), "")
	} else {
		g.add("calls", "?", "no configuration or worker knows the account; name it with --via")
	}
	g.add("segments", count(r.AllSegments), fmt.Sprintf("%d a message, %s", r.Segments, r.Encoding))
	if r.Cost != "" {
		g.add("cost", r.Cost, "by the account's price")
	}
	if err := g.print(s.out); err != nil {
		return err
	}
	note := "nothing was enqueued"
	if r.Country == "" {
		note += "; numbers in national form count as invalid: name their --country"
	}
	s.note("tuma: %s", note)
	return nil
}

// tally writes counts by word, the largest first: "3 too_short, 1 empty".
func tally(counts map[string]int) string {
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = count(counts[w]) + " " + w
	}
	return strings.Join(parts, ", ")
}
