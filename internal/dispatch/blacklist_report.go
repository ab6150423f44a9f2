package dispatch

import (
	"context"
	"fmt"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// NoteReport takes a delivery report about a message that went out through acc under the given
// sender ID. If a gateway queues messages, only such a report shows that a number is blacklisted.
// NoteReport adds the number to the suppression list, by the same rule as after a call: other
// recipients of the sender ID must have received their messages around it. It returns how many
// numbers were new on a list. Call it again after an error. NoteReport is safe for concurrent use.
func (s *Sender) NoteReport(ctx context.Context, acc *Account, sender string, d providers.DLR) (added int, err error) {
	list, found := s.blacklist.ofReport(acc.Name, sender, acc.Info.BlacklistBySender, d)
	if len(found) == 0 {
		return 0, nil
	}
	if added, err = s.blacklist.optouts.Add(ctx, list, found, true); err != nil {
		return 0, fmt.Errorf("add a number that the gateway blacklists to the suppression list: %w", err)
	}
	numbers := make([]sms.MSISDN, len(found))
	for i, e := range found {
		numbers[i] = e.MSISDN
	}
	_, err = s.Ledger.ExcludeOpen(ctx, list, numbers, "")
	return added, err
}

// ofReport returns a suppression list, and the numbers that can be added to it now. A delivered
// message proves the sender ID, as an accepted recipient does in the answer to a call. Reports have
// their own count of blacklisted recipients in a row, because a gateway that queues messages first
// accepts the recipients that it later calls blacklisted.
func (l *blacklist) ofReport(account, sender string, bySender bool, d providers.DLR) (list string, proven []optout.Entry) {
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
	proven, _ = l.proven("report "+account+" "+strings.ToUpper(sender), d.Status.Delivered, found)
	return list, proven
}
