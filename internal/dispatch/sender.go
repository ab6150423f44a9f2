package dispatch

import (
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/announce"
	"github.com/tuma-sms/tuma/internal/balance"
	"github.com/tuma-sms/tuma/internal/drain"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/quarantine"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/statusevent"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/wake"
)

// Collaborators has the objects with which a Sender works. All except Tracer and Statuses
// are required.
type Collaborators struct {
	Ledger     *ledger.Ledger         // campaigns, batches, claims and settles
	Accounts   *accounts.Store        // holds, the circuit breaker and balances of accounts
	OptOuts    *optout.Lists          // the suppression lists
	Clock      Clock                  // Redis' clock
	Queue      *queue.Queue           // counts the batches that wait for a slot
	Campaigns  *wake.Campaigns        // the campaigns that are being sent
	Waker      *wake.Waker            // queues the batches that become open
	Quarantine *quarantine.Quarantine // takes records that cannot be read
	Shares     *pacing.Shares         // divides an account among its campaigns
	Hours      *hours.Cache           // the sending hours of countries
	Guard      *redisguard.Guard      // confirms that Redis is the same as before
	Memory     *redisguard.Memory     // reports whether Redis has room for a claim
	Balances   *balance.Balances      // reads the credit of accounts
	Stop       *drain.Signals         // shows whether the worker drains or is killed
	Announcer  *announce.Announcer    // logs the end of campaigns
	Tracer     *tracing.Tracer        // makes the spans of batches and calls; nil if no spans are made
	Statuses   *statusevent.Writer    // writes events about recipients; nil if no events are written
	Log        zerolog.Logger
}

// Sender sends batches. Make it with New. Its methods are safe for concurrent use.
type Sender struct {
	Collaborators
	watches   watches
	probes    probes
	reports   reports
	endings   endings
	blacklist *blacklisted
}

// New returns a Sender.
func New(c Collaborators) *Sender {
	w := watches{ledger: c.Ledger, clock: c.Clock}
	return &Sender{Collaborators: c, watches: w,
		probes:    probes{accounts: c.Accounts, balances: c.Balances, watches: w, log: c.Log},
		reports:   reports{accounts: c.Accounts, balances: c.Balances, log: c.Log},
		endings:   endings{ledger: c.Ledger, waker: c.Waker, stop: c.Stop, announcer: c.Announcer, statuses: c.Statuses, log: c.Log},
		blacklist: &blacklisted{ledger: c.Ledger, optouts: c.OptOuts, log: c.Log}}
}
