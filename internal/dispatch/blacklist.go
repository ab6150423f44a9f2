package dispatch

import (
	"context"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/blacklist"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// The type "blacklisted" adds recipients that a gateway has blacklisted to our suppression lists, following
// the rule of package blacklist.
type blacklisted struct {
	ledger  *ledger.Ledger
	optouts *optout.Lists
	log     zerolog.Logger

	rule blacklist.Rule
}

// blacklistTimeout is how long a slot may take to store the recipients that the gateway has
// blacklisted. The slot does this after it has settled the call.
const blacklistTimeout = 10 * time.Second

// pauseBlacklisted is the reason for a pause after a run of blacklisted recipients.
const pauseBlacklisted = "blacklisted"

// The method "note" takes the records of a settled call. If the account has proven that the sender
// ID works, the method adds the recipients that the gateway reported as blacklisted to a suppression
// list. If the gateway does not blacklist by sender, this is the list for all senders. If it does,
// this is the list of the sender ID. In this case the method adds no recipient of a message without a
// sender ID, because the answer is not about one of our senders. If too many recipients in a row are
// blacklisted, the method returns true, and the campaign must be paused.
//
// The slot calls the method after the settle has recorded the rejections for this campaign.
func (l *blacklisted) note(b *batch, g *ledger.Generation, records []campaign.Record) (pause bool) {
	accepted := false
	var found []optout.Entry
	for i, r := range records {
		switch {
		case r.Status == campaign.Accepted:
			accepted = true
		case r.Status == campaign.Rejected && r.Reason == providers.ReasonBlacklisted:
			found = append(found, optout.Entry{MSISDN: g.To[i].MSISDN, Origin: optout.OriginGateway + ":" + b.acc.Name + ":" + r.Code})
		}
	}
	proven, pause := l.rule.Proven(b.acc.Name+" "+strings.ToUpper(b.sender()), accepted, found)
	if len(proven) > 0 {
		l.add(b, proven)
	}
	return pause
}

// The method "add" adds recipients to the suppression list.
func (l *blacklisted) add(b *batch, entries []optout.Entry) {
	list := campaign.AllSenders
	if b.acc.Info.BlacklistBySender {
		var err error
		if list, err = optout.ListOf(b.sender()); b.sender() == "" || err != nil {
			l.log.Info().Str("campaign", b.id).Str("account", b.acc.Name).Int("recipients", len(entries)).
				Msg("numbers that the gateway blacklists are not added to a suppression list: the messages have no sender ID")
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), blacklistTimeout)
	defer cancel()
	added, err := l.optouts.Add(ctx, list, entries, true)
	if err == nil {
		numbers := make([]sms.MSISDN, len(entries))
		for i, e := range entries {
			numbers[i] = e.MSISDN
		}
		_, err = l.ledger.ExcludeOpen(ctx, list, numbers) // this campaign may have other messages to the numbers
	}
	level := zerolog.DebugLevel // log at debug level, because the log line for the end of the campaign has the number of refused recipients
	if err != nil {
		level = outage.Level(err, zerolog.ErrorLevel)
	}
	l.log.WithLevel(level).Err(err).Str("campaign", b.id).Str("account", b.acc.Name).Str("list", campaign.ListCode(list)).Int("recipients", len(entries)).
		Int("new", added).Msg("the gateway blacklists numbers: adding them to the suppression list")
}
