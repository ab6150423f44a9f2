package worker

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// excludeOptOuts removes recipients who opted out after planning. It does so only in a generation
// that was never submitted. A doubtful call has been submitted, so it must be repeated unchanged.
// narrowed reports whether any recipient was removed; the batch must then be loaded again.
func (s *batchSender) excludeOptOuts(ctx context.Context, g *ledger.Generation) (narrowed bool, err error) {
	s.exclusionVersion = ""
	if !g.Ready {
		return false, nil
	}
	gone, version, lists := s.camp.opted.In(g.To)
	if len(lists) > 0 {
		on, err := s.ledger.OptedOut(ctx, lists, numbersOf(g.To))
		if err != nil {
			return false, err
		}
		if len(on) > 0 {
			if gone = maps.Clone(gone); gone == nil {
				gone = map[int]string{}
			}
		}
		for i, p := range g.To {
			if list := on[p.MSISDN]; list != "" {
				gone[i] = list
			}
		}
	}
	if len(gone) == 0 {
		s.exclusionVersion = version
		return false, nil
	}
	out, err := s.ledger.Narrow(ctx, s.id, ledger.NewToken(), s.batch, g, gone, s.openBatchLimit(ctx, s.acc.Name))
	if errors.Is(err, ledger.ErrCanary) {
		return false, nil // the claim will be refused too: for the same reason, or because the opt-outs were not applied
	}
	if err != nil {
		return false, err
	}
	if out.Done {
		s.log.Info().Str("campaign", s.id).Msg("campaign finished")
	}
	return true, s.wakeAll(ctx, s.id, s.camp.snapshot, s.camp.spec, s.keepNext(out.Wakes))
}

func numbersOf(to []campaign.Planned) []sms.MSISDN {
	out := make([]sms.MSISDN, len(to))
	for i, p := range to {
		out[i] = p.MSISDN
	}
	return out
}

// blacklistTimeout is how long a slot may take, after it has settled a call, to store the
// recipients that the gateway has blacklisted.
const blacklistTimeout = 10 * time.Second

// addBlacklisted adds the recipients that the gateway reported as blacklisted to our suppression
// list. If the gateway blacklists by sender, that is the list of the sender, otherwise the list for
// all senders. addBlacklisted runs after the settle, which has recorded the rejections for this
// campaign. If the worker dies in between, the gateway rejects the same recipients again in the
// next campaign, and they are added then.
func (s *batchSender) addBlacklisted(g *ledger.Generation, records []campaign.Record) {
	var numbers []sms.MSISDN
	var entries []ledger.OptOut
	for i, r := range records {
		if r.Status == campaign.Rejected && r.Reason == providers.ReasonBlacklisted {
			numbers = append(numbers, g.To[i].MSISDN)
			entries = append(entries, ledger.OptOut{MSISDN: g.To[i].MSISDN, Origin: ledger.OriginGateway + ":" + s.acc.Name + ":" + r.Code})
		}
	}
	if len(numbers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), blacklistTimeout)
	defer cancel()
	list := campaign.AllSenders
	if s.acc.info.BlacklistBySender {
		var err error
		if list, err = ledger.OptOutList(s.sender()); err != nil {
			list = campaign.AllSenders
		}
	}
	added, err := s.ledger.AddOptOuts(ctx, list, entries, true)
	if err == nil {
		_, err = s.ledger.ExcludeOpen(ctx, list, numbers, s.id)
	}
	level := zerolog.InfoLevel
	if err != nil {
		level = zerolog.ErrorLevel
	}
	s.log.WithLevel(level).Err(err).Str("campaign", s.id).Str("account", s.acc.Name).Str("list", campaign.ListCode(list)).Int("recipients", len(numbers)).
		Int("new", added).Msg("adding numbers that the gateway blacklists to the suppression list")
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
