package blacklist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// Reports reads delivery reports, and adds blacklisted numbers to the suppression lists. If a gateway
// queues messages, only the delivery report shows that a number is blacklisted. A number is added only if
// other recipients of the sender ID received their messages shortly before and after its report. Make a
// Reports with NewReports. It is safe for concurrent use.
type Reports struct {
	ledger    *ledger.Ledger
	optouts   *optout.Lists
	campaigns *wake.Campaigns
	accounts  map[string]Account
	log       zerolog.Logger
	rule      Rule
}

// Account has the facts about an account that Reports needs: its default sender ID, and whether
// its gateway blacklists numbers by sender ID (providers.Info.BlacklistBySender).
type Account struct {
	Sender   string
	BySender bool
}

// NewReports returns a Reports for the accounts with the given names. Reports about
// messages of other accounts are ignored. accounts must not change afterwards.
func NewReports(l *ledger.Ledger, campaigns *wake.Campaigns, lists *optout.Lists, accounts map[string]Account, log zerolog.Logger) *Reports {
	return &Reports{ledger: l, optouts: lists, log: log, campaigns: campaigns, accounts: accounts}
}

// Note takes reports that have just been applied. It logs a failure and does not return it, because the
// reports themselves are stored. If a number was not added, the gateway refuses it again in the next
// campaign, and Note can then add it to the suppression list.
func (x *Reports) Note(ctx context.Context, reports []tracking.Applied) {
	for _, r := range reports {
		added, err := x.note(ctx, r)
		if err == nil && added == 0 {
			continue
		}
		level := zerolog.DebugLevel
		if err != nil {
			level = outage.Level(err, zerolog.ErrorLevel)
		}
		x.log.WithLevel(level).Err(err).Str("campaign", r.Campaign).Int("new", added).Msg("a delivery report shows that a number is blacklisted; adding the number to the suppression list")
	}
}

// The method "note" takes one report. It returns how many numbers were added to a list and were not on
// it before.
func (x *Reports) note(ctx context.Context, r tracking.Applied) (added int, err error) {
	if !r.Status.Delivered && !r.Blacklisted {
		return 0, nil
	}
	camp, err := x.campaigns.Get(ctx, r.Campaign)
	if err == nil && camp.Upload != r.Upload {
		x.campaigns.Forget(r.Campaign)
		camp, err = x.campaigns.Get(ctx, r.Campaign)
	}
	if errors.Is(err, ledger.ErrNotFound) || err == nil && camp.Upload != r.Upload {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	stream, err := camp.Snapshot.StreamOf(r.Name)
	if err != nil {
		return 0, err
	}
	acc, ok := x.accounts[stream.Account.Name]
	if !ok {
		return 0, nil
	}
	list, found := x.ofReport(stream.Account.Name, cmp.Or(camp.Spec.From, acc.Sender), acc.BySender, r.DLR)
	if len(found) == 0 {
		return 0, nil
	}
	if added, err = x.optouts.Add(ctx, list, found, true); err != nil {
		return 0, fmt.Errorf("add to the suppression list a number that the gateway blacklists: %w", err)
	}
	numbers := make([]sms.MSISDN, len(found))
	for i, e := range found {
		numbers[i] = e.MSISDN
	}
	_, err = x.ledger.ExcludeOpen(ctx, list, numbers)
	return added, err
}

// ofReport returns the numbers that can be added to a suppression list now, and the name of this
// list. A delivered message proves that the sender ID works, like an accepted recipient in the answer
// to a call. Reports have one count of blacklisted recipients in a row, and answers to calls have another
// count. A gateway that queues messages accepts each recipient first, and reports later that the recipient is
// blacklisted. With one common count, the accepted recipients would set the count to 0 again and again.
func (x *Reports) ofReport(account, sender string, bySender bool, d providers.DLR) (list string, proven []optout.Entry) {
	list = campaign.AllSenders
	if bySender {
		own, err := optout.ListOf(sender)
		if sender == "" || err != nil {
			return "", nil
		}
		list = own
	}
	var found []optout.Entry
	if d.Blacklisted && d.To != 0 {
		found = []optout.Entry{{MSISDN: d.To, Origin: optout.OriginGateway + ":" + account + ":" + d.Reason}}
	}
	proven, _ = x.rule.Proven("report "+account+" "+strings.ToUpper(sender), d.Status.Delivered, found)
	return list, proven
}
