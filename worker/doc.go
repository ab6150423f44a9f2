// Package worker sends campaigns: it plans them, calls the SMS gateways, and records the outcome of
// every recipient. Programs enqueue campaigns with package [github.com/tuma-sms/tuma/producer];
// workers find the campaigns in Redis. The command "tuma worker" runs this package. Import the
// package to run a worker inside a Go service.
//
// # What a worker needs
//
// A worker needs a Redis client and at least one [Account]. An account is a client of a gateway, with a
// name, a rate and a default sender ID. A package such as [github.com/tuma-sms/tuma/providers/kobo]
// makes the client:
//
//	provider, err := kobo.New(kobo.Config{User: user, Pass: pass})
//	...
//	w, err := worker.New(worker.Config{
//		Redis:    rdb,
//		Country:  "KE",
//		Accounts: []worker.Account{{Name: "kobo-main", Provider: provider, Rate: 50, Sender: "ACME"}},
//	})
//	...
//	err = w.Run(ctx) // returns when ctx has ended and the worker has drained
//
// All state is in Redis, so Redis must not lose data. That requires version 7.0 or later,
// "maxmemory-policy noeviction", and "appendonly yes". [Worker.Run] checks this. If Redis is unfit, Run
// returns an error that wraps [ErrRedisUnfit]. Config.UnsafeRedis accepts an unfit Redis, for tests and
// demos.
//
// # What a worker does
//
// Planning parses the numbers of a campaign, and skips invalid, duplicate and suppressed numbers. It
// renders the bodies, and chooses an account for each recipient. A campaign names its account, or
// [Route] values choose one by number prefix. Planning groups recipients into calls, which are single
// HTTP requests. It groups calls into batches.
//
// Sending takes these steps for each call: wait for the account's rate, claim the call in Redis,
// call the gateway once, and settle the outcome in Redis. Because of the claim, two workers never
// make the same call.
//
// A call without a clear answer is doubtful: the gateway may have sent its messages. If the gateway has
// idempotency keys, the worker repeats the same request under the same key. If the gateway can list the
// messages that it has taken, the worker searches that list. Otherwise the recipients end as unknown,
// unless the campaign or the account has the setting [OnUnknownResend].
//
// # Draining and stopping
//
// When its context ends, Run drains: it claims nothing more, finishes and settles the calls in flight,
// and leaves all other work to other workers. Give the process time to end: at least the longest
// Account.Timeout plus a few seconds. If Redis does not answer, [Worker.Kill] makes a draining worker
// stop waiting for Redis.
//
// A worker may also die at any moment. Its claims on the calls in flight expire with their leases, a
// few seconds after Account.Timeout. Another worker then treats these calls as doubtful, and sends the
// remaining messages.
//
// # Several workers
//
// Any number of workers may share one Redis, and each may serve different accounts. Workers that serve
// the same account must give it the same name, rate and login. All these workers together keep within
// the rate. Account.Concurrency applies to each worker separately. One worker at a time also sweeps: it
// queues lost work again, moves work from held accounts and deletes old campaigns. If that worker dies,
// another worker takes over the sweeping within seconds.
//
// # Holds and failover
//
// Calls may fail because of the account, for example because of a wrong login, missing credit or a
// gateway that is down. The circuit breaker then holds the account for all workers. Such failures do
// not count against the attempts of any message. The hold ends when a probe succeeds. A probe is one of
// the waiting calls. The worker makes it after a delay that grows with each failure. If the gateway
// reports a balance, the worker reads the balance before it probes. At a gateway without idempotency
// keys a probe has one recipient. After Config.FailoverAfter, the account's waiting work moves to the
// next account of its route. Doubtful calls never move. Operators can also hold and release an account,
// with package producer or the "tuma" command. If an operator holds an account, its work does not move.
//
// # Durability
//
// A Redis that crashes or fails over may lose its last second of writes. Then calls may be repeated. A
// worker that notices the restart replays its recent settles before it claims further calls. Replay
// does not help if the worker dies at the same time. [Config].Durability closes this gap. With Fsync, a
// claim must be on disk before its call is made. With Replicas, a claim must first be on that many
// replicas. Each call then waits once more for Redis.
//
// # Observing
//
// Config.Logger receives structured log lines. Calls are logged at debug level, or at warn level if
// they failed. Holds, pauses and failover are logged at info or warn level; unreadable records and
// errors are logged at error level. No line contains a message body or a full phone number.
// [Worker.Ready] suits a readiness probe. Any process can read progress, outcomes, holds and balances
// with package producer.
package worker
