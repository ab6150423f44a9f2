// Package worker sends campaigns: it plans them, calls the SMS gateways, and records the outcome of
// every recipient. Programs hand campaigns over with package
// [github.com/tuma-sms/tuma/producer]; workers find them in Redis. The command "tuma worker" runs
// this package. Embed it to run a worker inside a Go service.
//
// # What a worker needs
//
// A worker needs a Redis client and at least one [Account]. An account is a gateway's client, made by
// a package such as [github.com/tuma-sms/tuma/providers/kobo], with a name, a rate and a default
// sender ID:
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
// All state is in Redis, so Redis must keep it: version 7.0 or later, maxmemory-policy noeviction,
// append-only file on. [Worker.Run] checks this and otherwise returns an error that wraps
// [ErrRedisUnfit]. Config.UnsafeRedis accepts an unfit Redis, for tests and demos.
//
// # What a worker does
//
// Planning parses the numbers of a campaign, skips invalid, duplicate and suppressed ones, renders the
// bodies, and chooses an account for each recipient. A campaign names its account, or [Route] values
// choose one by number prefix. Planning groups recipients into calls, which are single HTTP requests,
// and calls into batches.
//
// Sending takes these steps for each call: wait for the account's rate, claim the call in Redis, call
// the gateway once, and settle the outcome in Redis. Because of the claim, no two workers make the
// same call.
//
// A call without a clear answer is doubtful: the gateway may have sent its messages. If the gateway has
// idempotency keys, the worker repeats the same request under the same key. If the gateway lists the
// messages it has taken, the worker looks there. Otherwise the recipients end unknown, unless the
// campaign or the account chose [OnUnknownResend].
//
// # Draining and stopping
//
// When its context ends, Run drains. It claims nothing more, finishes and settles the calls in flight,
// and hands the rest to other workers. Give the process at least the longest Account.Timeout, plus a few
// seconds, to end. [Worker.Kill] makes a draining worker stop waiting for a Redis that is away.
//
// A worker may also die at any moment. The claims of its calls in flight end with their leases, a few
// seconds after Account.Timeout. Another worker then treats these calls as doubtful, and sends the rest.
//
// # Several workers
//
// Any number of workers may share one Redis, and each may serve other accounts. Workers that serve the
// same account must give it the same name, rate and login. The rate holds for all of them together;
// Account.Concurrency is for each one. One worker at a time also sweeps: it queues lost work again, fails
// work over and deletes old campaigns. If it dies, another takes over within seconds.
//
// # Holds and failover
//
// When calls fail because of the account, such as for a wrong login, missing credit or a gateway
// that is down, the circuit breaker holds the account for all workers. This counts against no
// message's attempts. The hold ends when a probe succeeds. A probe is one waiting call, made after
// a growing delay. If the gateway reports a balance, the worker reads that first. At a gateway
// without idempotency keys a probe has one recipient. After Config.FailoverAfter the waiting work
// moves to the next account of its route. Doubtful calls never move. Operators can hold and release
// an account too, with package producer or the tuma command; such work does not move.
//
// # Durability
//
// A Redis that crashes or fails over may forget its last second of writes, and then calls may be
// repeated. A worker that notices replays its recent settles before it claims more. That does not help
// if the worker dies at the same time. [Config].Durability closes this gap: with Fsync a claim must be on
// disk before its call is made, with Replicas it must be on that many replicas. It costs one more wait
// for each call.
//
// # Observing
//
// Config.Logger receives structured log lines: calls at debug level, or at warn level if they failed;
// holds, pauses and failover at info or warn level; unreadable records and errors at error level. They
// never contain a message body or a full phone number. [Worker.Ready] suits a readiness probe. Progress,
// outcomes, holds and balances are read with package producer, from any process.
package worker
