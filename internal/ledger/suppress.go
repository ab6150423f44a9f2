package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// InFlightCall is a call that was claimed before one of its recipients opted out.
type InFlightCall struct {
	Campaign string
	// Recipients is how many recipients of the call have opted out.
	Recipients int
	// Doubtful is true if no worker holds a claim of the call, and the call may have reached the
	// gateway. At a gateway with idempotency keys, workers repeat such a call unchanged.
	Doubtful bool
	to       []sms.MSISDN // the recipients that have opted out
	field    string       // field of the call's generation in the ledger hash
	token    string
}

// SuppressionLists returns the suppression lists that apply to a campaign: the list for all
// senders, and the list of the campaign's sender ID. If the campaign names no sender ID, it returns
// the lists of its accounts' sender IDs instead.
func (l *Ledger) SuppressionLists(ctx context.Context, spec campaign.Spec, names []string) ([]string, error) {
	return listsOf(spec, names, func(name string) (string, error) { return senderOf(ctx, l.accounts, name) })
}

// senderOf returns the sender ID of an account. It is empty for an account that no worker has published.
func senderOf(ctx context.Context, s *accounts.Store, name string) (string, error) {
	a, err := s.Account(ctx, name)
	if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
		return "", err
	}
	return a.Sender, nil
}

// listsOf does what SuppressionLists does. senderOf returns the sender ID of an account.
func listsOf(spec campaign.Spec, names []string, senderOf func(name string) (string, error)) ([]string, error) {
	out := []string{campaign.AllSenders}
	add := func(sender string) {
		if list, err := optout.ListOf(sender); err == nil && !slices.Contains(out, list) {
			out = append(out, list)
		}
	}
	if spec.From != "" {
		add(spec.From)
		return out, nil
	}
	for _, name := range names {
		sender, err := senderOf(name)
		if err != nil {
			return nil, err
		}
		add(sender)
	}
	return out, nil
}

// suppressionListsOf does what SuppressionLists does, for the campaign with this id. Before the
// campaign is committed, suppressionListsOf returns ErrNotFound.
func (l *Ledger) suppressionListsOf(ctx context.Context, id string) ([]string, error) {
	spec, err := l.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	if spec.From != "" {
		return l.SuppressionLists(ctx, spec, nil)
	}
	snapshot, _, err := l.Snapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	names, err := sendingAccounts(spec, snapshot, func() ([]string, error) { return accountNames(ctx, l.accounts) })
	if err != nil {
		return nil, err
	}
	return l.SuppressionLists(ctx, spec, names)
}

// sendingAccounts returns the accounts that may send a campaign. A campaign that is not planned yet and
// has routes may use any account. The function allNames returns the names of all accounts.
func sendingAccounts(spec campaign.Spec, snapshot campaign.PlanSnapshot, allNames func() ([]string, error)) (names []string, err error) {
	for _, a := range snapshot.Accounts {
		names = append(names, a.Name)
	}
	switch {
	case len(names) > 0:
		return names, nil
	case spec.Via != "":
		return []string{spec.Via}, nil
	}
	return allNames()
}

// accountNames returns the names of all accounts.
func accountNames(ctx context.Context, s *accounts.Store) (names []string, err error) {
	all, err := s.All(ctx)
	for _, a := range all {
		names = append(names, a.Name)
	}
	return names, err
}

// inFlightTo returns the claimed and the doubtful calls of a campaign that have one of the numbers as
// a recipient. nil numbers mean every number on the list.
func (l *Ledger) inFlightTo(ctx context.Context, id, list string, numbers []sms.MSISDN) (out []InFlightCall, err error) {
	names, err := l.rdb.ZRange(ctx, openKey(id), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read calls in flight of %s: %w", id, err)
	}
	works, err := l.records.loadWorks(ctx, id, names)
	if err != nil {
		return nil, err
	}
	wanted := map[sms.MSISDN]bool{}
	for _, m := range numbers {
		wanted[m] = true
	}
	for _, w := range works {
		for _, g := range w.Open {
			if !g.claimed && !g.Doubtful {
				continue
			}
			on := map[sms.MSISDN]string{}
			if numbers == nil {
				if on, err = l.optouts.Find(ctx, []string{list}, numbersOf(g)); err != nil {
					return nil, err
				}
			}
			var to []sms.MSISDN
			for _, p := range g.To {
				if _, listed := on[p.MSISDN]; listed || wanted[p.MSISDN] {
					to = append(to, p.MSISDN)
				}
			}
			if len(to) > 0 {
				out = append(out, InFlightCall{Campaign: id, Recipients: len(to), Doubtful: g.Doubtful, to: to, token: g.token,
					field: generationField(w.Batch.Name, generationName(g.Call, g.Number))})
			}
		}
	}
	return out, nil
}

// StillInFlight reads the given calls again, and returns the calls whose claim has not changed.
func (l *Ledger) StillInFlight(ctx context.Context, calls []InFlightCall) (out []InFlightCall, err error) {
	for _, c := range calls {
		got, err := l.rdb.HMGet(ctx, ledgerKey(c.Campaign), c.field).Result()
		if err != nil {
			return nil, fmt.Errorf("read calls in flight of %s: %w", c.Campaign, err)
		}
		if open, _ := splitGeneration(script.Text(got[0])); open.State == stateClaimed && open.Token == c.token {
			out = append(out, c)
		}
	}
	return out, nil
}
