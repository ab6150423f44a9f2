package dispatch

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// blacklist adds recipients that a gateway has blacklisted to our suppression lists.
//
// A gateway that does not know a sender ID may call every recipient blacklisted. So a recipient is
// added only if the same account has accepted other recipients of the same sender ID: in the same
// call, or within ten minutes before this recipient and then after it. Until then it waits here. A
// recipient that is left out is rejected again in the next campaign, and can be added then.
type blacklist struct {
	ledger  *ledger.Ledger
	optouts *optout.Lists
	log     zerolog.Logger

	mu      sync.Mutex
	senders map[string]*blacklistSender // the key is made of account and sender ID
}

// blacklistSender is what this worker has seen of a sender ID at an account.
type blacklistSender struct {
	// acceptedAt is when the account last accepted a recipient. run counts the recipients that the
	// account has called blacklisted since then. waiting lists those of them that may still be
	// added.
	acceptedAt time.Time
	run        int
	waiting    []optout.Entry
}

const (
	// blacklistTimeout is how long a slot may take, after it has settled a call, to store the
	// recipients that the gateway has blacklisted.
	blacklistTimeout = 10 * time.Second
	// blacklistRunLimit is how many recipients in a row may be blacklisted, in this worker, before the
	// campaign is paused: the sender ID or the account is then the reason, and not the recipients.
	blacklistRunLimit = 25
	// blacklistSenders is the maximum number of pairs of an account and a sender ID that are remembered.
	blacklistSenders = 10_000
)

// pauseBlacklisted is the reason for a pause after a run of blacklisted recipients.
const pauseBlacklisted = "blacklisted"

// note takes the records of a settled call. It adds the recipients that the gateway reported as
// blacklisted to our suppression list, as far as the account has proven that the sender ID works. If
// the gateway blacklists by sender, that is the list of the sender, otherwise the list for all
// senders. A message without a sender ID says nothing about any of our senders, so its
// recipient is not added. note reports whether the campaign must be paused, because the account has
// called too many recipients in a row blacklisted.
//
// note runs after the settle, which has recorded the rejections for this campaign.
func (l *blacklist) note(b *batch, g *ledger.Generation, records []campaign.Record) (pause bool) {
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
	proven, pause := l.proven(b.acc.Name+" "+strings.ToUpper(b.sender()), accepted, found)
	if len(proven) > 0 {
		l.add(b, proven)
	}
	return pause
}

// proven returns the recipients that can be added to a list now. key names the account and the sender ID. The others wait, or are left out for
// good. pause reports whether the run of blacklisted recipients has become too long; then none of its
// recipients is ever added.
func (l *blacklist) proven(key string, accepted bool, found []optout.Entry) (proven []optout.Entry, pause bool) {
	if !accepted && len(found) == 0 {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sender(key)
	if accepted {
		if s.run < blacklistRunLimit {
			found = append(s.waiting, found...)
		}
		*s = blacklistSender{acceptedAt: time.Now()}
		return found, false
	}
	before := s.run
	s.run += len(found)
	if time.Since(s.acceptedAt) < verdict.ProvenFor && s.run < blacklistRunLimit {
		s.waiting = append(s.waiting, found...)
	} else {
		s.waiting = nil
	}
	return nil, before/blacklistRunLimit < s.run/blacklistRunLimit
}

// sender returns what is known of a sender ID. The caller holds l.mu.
func (l *blacklist) sender(key string) *blacklistSender {
	s := l.senders[key]
	if s == nil {
		if l.senders == nil || len(l.senders) >= blacklistSenders {
			l.senders = map[string]*blacklistSender{}
		}
		s = &blacklistSender{}
		l.senders[key] = s
	}
	return s
}

// add adds recipients to the suppression list.
func (l *blacklist) add(b *batch, entries []optout.Entry) {
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
		_, err = l.ledger.ExcludeOpen(ctx, list, numbers, "") // this campaign may have other messages to the numbers
	}
	level := zerolog.DebugLevel // the campaign's end tells how many were refused
	if err != nil {
		level = outage.Level(err, zerolog.ErrorLevel)
	}
	l.log.WithLevel(level).Err(err).Str("campaign", b.id).Str("account", b.acc.Name).Str("list", campaign.ListCode(list)).Int("recipients", len(entries)).
		Int("new", added).Msg("adding numbers that the gateway blacklists to the suppression list")
}
