package worker

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// heed takes out of a generation of which nothing is, or may have been, submitted whoever
// has opted out since it was planned, and says whether there was anybody: then it has to be
// read again. What is in doubt is one request for good, and goes on as it is.
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
		return false, nil // the claim is told so too, or else that this was not heeded
	}
	if err != nil {
		return false, err
	}
	if out.Done {
		s.log.Info().Str("campaign", s.id).Msg("done")
	}
	return true, s.wakeAll(ctx, s.id, s.camp.snapshot, s.camp.spec, s.keepNext(out.Wakes))
}

func numbersOf(to []ledger.Planned) []sms.MSISDN {
	out := make([]sms.MSISDN, len(to))
	for i, p := range to {
		out[i] = p.MSISDN
	}
	return out
}

// suppressWithin bounds how long a settled call's slot is kept for entering whom its
// gateway has on a blacklist.
const blacklistTimeout = 10 * time.Second

// suppress enters recipients whom the gateway keeps on a blacklist in ours: of this sender
// where the gateway means that, or else of all. It comes after the settle, which says it for
// this campaign; a worker that dies in between costs another such answer in the next.
func (s *batchSender) addBlacklisted(g *ledger.Generation, records []ledger.Record) {
	var numbers []sms.MSISDN
	var entries []ledger.OptOut
	for i, r := range records {
		if r.Status == ledger.Rejected && r.Reason == providers.ReasonBlacklisted {
			numbers = append(numbers, g.To[i].MSISDN)
			entries = append(entries, ledger.OptOut{MSISDN: g.To[i].MSISDN, Origin: ledger.OriginGateway + ":" + s.acc.Name + ":" + r.Code})
		}
	}
	if len(numbers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), blacklistTimeout)
	defer cancel()
	list := ledger.AllSenders
	if s.acc.info.BlacklistBySender {
		var err error
		if list, err = ledger.OptOutList(s.sender()); err != nil {
			list = ledger.AllSenders
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
	s.log.WithLevel(level).Err(err).Str("campaign", s.id).Str("account", s.acc.Name).Str("list", ledger.ListCode(list)).Int("recipients", len(numbers)).
		Int("new", added).Msg("blacklisted by the gateway: added to the suppression list")
}

// suppressed finds the suppression lists that hold for a campaign, of which it has those
// recipients to plan. Which of them have anybody on them it reads once: the campaign is
// open, and is told of who comes to a list later.
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
