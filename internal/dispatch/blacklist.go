package dispatch

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// blacklist adds recipients that a gateway has blacklisted to our suppression lists.
type blacklist struct {
	ledger  *ledger.Ledger
	optouts *optout.Lists
	log     zerolog.Logger
}

// blacklistTimeout is how long a slot may take, after it has settled a call, to store the
// recipients that the gateway has blacklisted.
const blacklistTimeout = 10 * time.Second

// add adds the recipients that the gateway reported as blacklisted to our suppression list. If the
// gateway blacklists by sender, that is the list of the sender, otherwise the list for all senders.
// add runs after the settle, which has recorded the rejections for this campaign. If the worker dies
// in between, the gateway rejects the same recipients again in the next campaign, and they are added
// then.
func (l blacklist) add(b *batch, g *ledger.Generation, records []campaign.Record) {
	var numbers []sms.MSISDN
	var entries []optout.Entry
	for i, r := range records {
		if r.Status == campaign.Rejected && r.Reason == providers.ReasonBlacklisted {
			numbers = append(numbers, g.To[i].MSISDN)
			entries = append(entries, optout.Entry{MSISDN: g.To[i].MSISDN, Origin: optout.OriginGateway + ":" + b.acc.Name + ":" + r.Code})
		}
	}
	if len(numbers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), blacklistTimeout)
	defer cancel()
	list := campaign.AllSenders
	if b.acc.Info.BlacklistBySender {
		var err error
		if list, err = optout.ListOf(b.sender()); err != nil {
			list = campaign.AllSenders
		}
	}
	added, err := l.optouts.Add(ctx, list, entries, true)
	if err == nil {
		_, err = l.ledger.ExcludeOpen(ctx, list, numbers, b.id)
	}
	level := zerolog.InfoLevel
	if err != nil {
		level = zerolog.ErrorLevel
	}
	l.log.WithLevel(level).Err(err).Str("campaign", b.id).Str("account", b.acc.Name).Str("list", campaign.ListCode(list)).Int("recipients", len(numbers)).
		Int("new", added).Msg("adding numbers that the gateway blacklists to the suppression list")
}
