package reconcile

import (
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// matcher decides which of the messages that a gateway lists can belong to one particular call
// only.
type matcher struct {
	from, to time.Time // the call was made in this time, as the gateway's clock may show it
	sender   string    // the sender ID of the call
	// parts is the maximum number of list entries for one message.
	parts int
	// others holds the numbers to which another unresolved call may have gone between from and to.
	others map[sms.MSISDN]bool
	// known reports whether a message ID belongs to another call.
	known func(id string) bool
}

// among returns the IDs of the call's messages in the list, by number. A message counts as the
// call's if it is the only candidate for its recipient. A candidate was sent between from and to,
// has the sender ID of the call, and its ID is not known. No other unresolved call may have gone to
// that number. among has no side effects.
func (m matcher) among(listed []providers.TakenMessage, to []campaign.Planned) map[sms.MSISDN]string {
	wanted := make(map[sms.MSISDN][]string, len(to))
	for _, p := range to {
		if !m.others[p.MSISDN] {
			wanted[p.MSISDN] = nil
		}
	}
	for _, x := range listed {
		ids, ok := wanted[x.To]
		if !ok || x.To == 0 || x.ID == "" || !sameSender(x.From, m.sender) || m.known(x.ID) {
			continue
		}
		switch {
		case x.At.IsZero(): // the time of x is unknown, so x may or may not belong to the call
			delete(wanted, x.To)
		case !x.At.Before(m.from) && !x.At.After(m.to):
			wanted[x.To] = append(ids, x.ID)
		}
	}
	found := map[sms.MSISDN]string{}
	for n, ids := range wanted {
		if len(ids) > 0 && len(ids) <= m.parts {
			found[n] = ids[0]
		}
	}
	return found
}

func sameSender(a, b string) bool {
	return strings.EqualFold(strings.TrimPrefix(a, "+"), strings.TrimPrefix(b, "+"))
}
