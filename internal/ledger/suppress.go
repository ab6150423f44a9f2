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
	// Doubtful: no claim holds the call, but it may have reached the gateway. At a gateway with
	// idempotency keys the call is repeated unchanged.
	Doubtful bool
	field    string // field of the call's generation in the ledger hash
	token    string
}

// SuppressionLists returns the suppression lists that apply to a campaign: the list for all
// senders, and the list of the campaign's sender ID. If the campaign names no sender ID, it returns
// the lists of its accounts' sender IDs instead.
func (l *Ledger) SuppressionLists(ctx context.Context, spec campaign.Spec, names []string) ([]string, error) {
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
		a, err := l.accounts.Account(ctx, name)
		if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
			return nil, err
		}
		add(a.Sender)
	}
	return out, nil
}

// suppressionListsOf returns what SuppressionLists returns, for the campaign with this id. It
// returns ErrNotFound before the commit.
func (l *Ledger) suppressionListsOf(ctx context.Context, id string) ([]string, error) {
	spec, err := l.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	var names []string
	if spec.From == "" {
		snapshot, _, err := l.Snapshot(ctx, id)
		if err != nil {
			return nil, err
		}
		if names = accountNames(snapshot); len(names) == 0 {
			names = []string{spec.Via}
		}
		if spec.Via == "" && len(snapshot.Accounts) == 0 {
			// The campaign is planned by routes, which may name any account.
			all, err := l.accounts.All(ctx)
			if err != nil {
				return nil, err
			}
			for _, a := range all {
				names = append(names, a.Name)
			}
		}
	}
	return l.SuppressionLists(ctx, spec, names)
}

func accountNames(f campaign.PlanSnapshot) (out []string) {
	for _, a := range f.Accounts {
		out = append(out, a.Name)
	}
	return out
}

// ExcludeOpen passes numbers that were added to a suppression list to every open campaign to which
// the list applies, except the campaign skippedID. nil numbers mean every number on the list.
// ExcludeOpen returns the calls to these numbers that were claimed earlier and are in flight or in
// doubt. The numbers must be on the list already.
func (l *Ledger) ExcludeOpen(ctx context.Context, list string, numbers []sms.MSISDN, skippedID string) (inFlight []InFlightCall, err error) {
	open, err := l.Index().Open(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error // an error in one campaign does not stop the others
	for _, e := range open {
		if e.ID == skippedID {
			continue
		}
		lists, err := l.suppressionListsOf(ctx, e.ID)
		if errors.Is(err, ErrNotFound) {
			continue // not committed yet: the planning of this campaign will read the list
		}
		if err == nil && !slices.Contains(lists, list) {
			continue
		}
		if err != nil && AsUnreadable(err) == nil {
			errs = append(errs, err)
			continue
		}
		in, err := l.Exclude(ctx, e.ID, list, numbers)
		if err == nil && in.Recipients > 0 {
			var more []InFlightCall
			more, err = l.inFlightTo(ctx, e.ID, list, numbers)
			inFlight = append(inFlight, more...)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return inFlight, errors.Join(errs...)
}

// inFlightTo returns those calls of a campaign that hold a claim or are in doubt, and have one of
// the numbers as a recipient. nil numbers mean every number on the list.
func (l *Ledger) inFlightTo(ctx context.Context, id, list string, numbers []sms.MSISDN) (out []InFlightCall, err error) {
	names, err := l.rdb.ZRange(ctx, openKey(id), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read calls in flight of %s: %w", id, err)
	}
	works, err := l.loadWorks(ctx, id, names)
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
			count := 0
			if numbers == nil {
				all := make([]sms.MSISDN, len(g.To))
				for i, p := range g.To {
					all[i] = p.MSISDN
				}
				on, err := l.optouts.Find(ctx, []string{list}, all)
				if err != nil {
					return nil, err
				}
				count = len(on)
			}
			for _, p := range g.To {
				if wanted[p.MSISDN] {
					count++
				}
			}
			if count > 0 {
				out = append(out, InFlightCall{Campaign: id, Recipients: count, Doubtful: g.Doubtful, token: g.token,
					field: generationField(w.Batch.Name, generationName(g.Call, g.Number))})
			}
		}
	}
	return out, nil
}

// StillInFlight returns those of the calls that still have the same claim as when they were read.
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
