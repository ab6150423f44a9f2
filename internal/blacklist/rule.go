// Package blacklist decides about numbers that a gateway calls blacklisted: which of them are added to our
// suppression lists.
//
// If a gateway does not know a sender ID, it may call every recipient blacklisted. So a recipient is added
// only if the account accepts other recipients of the same sender ID. There are two cases. In the first
// case, the account accepts another recipient in the same call. In the second case, the account accepted a
// recipient at most ten minutes before, and accepts another recipient later. Until then the blacklisted
// recipient waits. A recipient that is not added is rejected again in the next campaign, and can be added
// then.
package blacklist

import (
	"slices"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/verdict"
)

// Rule remembers, for each sender ID and account, when a recipient was last accepted, and which recipients
// were blacklisted since. It knows only the calls and reports of one process. The zero value remembers
// nothing. It is safe for concurrent use.
type Rule struct {
	mu      sync.Mutex
	senders map[string]*sender // the key contains the account and the sender ID
}

// The type "sender" has what a Rule remembers about one sender ID at one account.
type sender struct {
	// acceptedAt is when the account last accepted a recipient. The field "run" is the number of
	// recipients that the account has called blacklisted since then. The field "waiting" lists the
	// blacklisted recipients that may still be added to the suppression list.
	acceptedAt time.Time
	run        int
	waiting    []optout.Entry
}

const (
	// RunLimit is how many recipients in a row may be blacklisted in one process before the campaign is
	// paused. The likely cause of a longer run is the sender ID or the account, not the recipients.
	RunLimit = 25
	// maxSenders is the maximum number of pairs of an account and a sender ID that are remembered.
	maxSenders = 10_000
)

// Proven returns the recipients that can be added to a suppression list now. The parameter "key" names
// the account and the sender ID. The parameter "accepted" is true if the account has accepted a recipient.
// The parameter "found" has the recipients that the account calls blacklisted. If a recipient cannot be
// added now, Proven keeps it for a later call or drops it permanently. The result "pause" is true if the
// run of blacklisted recipients has become too long. After that, no recipient of this run is ever added.
func (l *Rule) Proven(key string, accepted bool, found []optout.Entry) (proven []optout.Entry, pause bool) {
	if !accepted && len(found) == 0 {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sender(key)
	if accepted {
		if s.run < RunLimit {
			found = append(s.waiting, found...)
		}
		*s = sender{acceptedAt: time.Now()}
		return found, false
	}
	// A report may come twice.
	found = slices.DeleteFunc(slices.Clone(found), func(e optout.Entry) bool {
		return slices.ContainsFunc(s.waiting, func(w optout.Entry) bool { return w.MSISDN == e.MSISDN })
	})
	before := s.run
	s.run += len(found)
	if time.Since(s.acceptedAt) < verdict.ProvenFor && s.run < RunLimit {
		s.waiting = append(s.waiting, found...)
	} else {
		s.waiting = nil
	}
	return nil, before/RunLimit < s.run/RunLimit
}

// The method "sender" returns what the Rule remembers under a key. The caller holds l.mu.
func (l *Rule) sender(key string) *sender {
	s := l.senders[key]
	if s == nil {
		if l.senders == nil || len(l.senders) >= maxSenders {
			l.senders = map[string]*sender{}
		}
		s = &sender{}
		l.senders[key] = s
	}
	return s
}
