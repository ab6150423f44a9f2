package worker

import (
	"context"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// firstOpenBatchLimit is how many batches of an account planning opens for each page. If ten
// campaigns start at once, the first must not fill the queue before the others are known. Later the
// sweeper, and each settle that ends a batch, open more batches, up to the open-batch limit.
const firstOpenBatchLimit = 2

// joinAccounts adds a campaign at once to the number of campaigns that share each of its accounts.
// The next sweep counts all campaigns again.
func (w *Worker) joinAccounts(ctx context.Context, f campaign.PlanSnapshot) error {
	for _, a := range f.Accounts {
		if err := w.ledger.AddCampaign(ctx, a.Name); err != nil {
			return err
		}
		w.shares.Forget(a.Name)
	}
	return nil
}

// optOutLookup returns a lookup in the suppression lists that apply to a campaign. recipients is
// the number of recipients left to plan. The lookup reads only once which of the lists are not
// empty. That is safe because the campaign is open, so later opt-outs are recorded in the campaign
// itself.
func (w *Worker) optOutLookup(ctx context.Context, plan *ledger.Plan, recipients int) (*ledger.OptOutLookup, error) {
	counts, err := w.ledger.OptOutCounts(ctx)
	if err != nil || len(counts) == 0 {
		return w.ledger.NewOptOutLookup(nil, nil, 0), err
	}
	var accounts []string
	for _, a := range plan.Snapshot.Accounts {
		accounts = append(accounts, a.Name)
	}
	lists, err := w.ledger.SuppressionLists(ctx, plan.Spec, accounts)
	return w.ledger.NewOptOutLookup(lists, counts, recipients), err
}
