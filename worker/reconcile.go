package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// Reconcile uses a gateway's delivery report to resolve a message of unknown outcome. It returns
// true if the report resolved a message. The recipient of that message is then accepted.
//
// A report resolves a message only if all of these conditions hold. The account's reports name the
// recipient. The message ID has not been recorded in the last two days. Exactly one unresolved call
// of the last hour went to that number. Reconcile ignores all other reports, and it does not record
// the delivery status.
//
// Reconcile returns an error if this worker does not serve the account. After any other error, call
// it again with the same report. Reconcile is safe for concurrent use, even while the worker does
// not run.
func (w *Worker) Reconcile(ctx context.Context, account string, r providers.DLR) (bool, error) {
	acc := w.accounts[account]
	if acc == nil {
		return false, fmt.Errorf("reconcile: account %.64q is not served by this worker", account)
	}
	tracker := acc.sending.Tracker
	if !acc.info.DLRNamesRecipient || !tracker.Tracked() || r.To == 0 || r.MessageID == "" {
		return false, nil
	}
	now, err := w.ledger.Now(ctx)
	if err != nil {
		return false, err
	}
	a, ok, err := tracker.AttemptOf(ctx, r, now)
	if err != nil || !ok {
		return false, err
	}
	camp, err := w.campaigns.Get(ctx, a.Campaign)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Write the index before NoteReported is called. If NoteReported recorded an ID that is not in the
	// index, later reports with this ID could not be matched with the message.
	if acc.sending.Reports != nil {
		if err := acc.sending.Reports.NoteProved(ctx, camp.Upload, a, r.To, r.MessageID); err != nil {
			return false, err
		}
	}
	if err := tracker.NoteReported(ctx, a, r); err != nil {
		return false, err
	}
	segments := camp.Spec.Segments()
	out, err := w.ledger.Reconcile(ctx, a, map[sms.MSISDN]string{r.To: r.MessageID}, segments, w.shares.OpenBatchLimit(ctx, acc.Name))
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	w.log.Debug().Str("campaign", a.Campaign).Str("batch", a.Batch).Str("account", account).Msg("a delivery report resolved a message of unknown outcome")
	return true, w.waker.All(ctx, a.Campaign, camp, out.Wakes)
}
