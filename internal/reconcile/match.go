package reconcile

import (
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// matcher decides which messages in a gateway's list can belong only to one particular call.
type matcher struct {
	// The field "from" is the earliest time, and the field "to" is the latest time, that the gateway's
	// clock may have shown at the call.
	from, to time.Time
	sender   string // the sender ID of the call
	// parts is the maximum number of list entries for one message.
	parts int
	// The map "others" has the numbers to which another unresolved call may have sent a message
	// between the times "from" and "to".
	others map[sms.MSISDN]bool
	// known reports whether a message ID belongs to another call.
	known func(id string) bool
}

// The method "among" returns the IDs of the call's messages in the list, by number. It assigns an
// entry of the list to a recipient if the entry is the recipient's only candidate. A candidate was
// sent between the times "from" and "to", has the sender ID of the call, and has an ID that does
// not belong to another call. If another unresolved call may have gone to a number, the number
// gets no ID. The method has no side effects.
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
		case x.At.IsZero(): // the time of x is unknown, so x may belong to the call or to another call
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
