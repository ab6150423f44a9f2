// Package producertest gives the tests of a Go service a whole Tuma: a real worker, an embedded
// Redis and a scripted gateway, all in the process of the test. A Tuma does not need a
// redis-server. It uses only the loopback network interface. It is ready in some 20 ms. This package helps to
// test users of package producer, as net/http/httptest helps to test users of net/http.
//
// A service that sends with a [producer.Client] is tested like this:
//
//	func TestNotify(t *testing.T) {
//		t.Parallel()
//		tuma := producertest.New(t)
//		shop := &Orders{SMS: tuma.Client()}
//		if err := shop.Notify(t.Context(), "1234", "0712 345 678"); err != nil {
//			t.Fatal(err)
//		}
//		tuma.AssertSent(t, "0712 345 678", "Order 1234 is on its way.")
//	}
//
// Campaigns may name the account "test" or no account. All accounts of a [Tuma] lead to the
// same gateway, which accepts every message. There are no sending hours and no rate limit.
//
// # Faults
//
// A test scripts a fault before the service under test enqueues. Every call that reaches the
// gateway takes the next scripted answer. After the last scripted answer the gateway accepts
// every message again. A call is one request of at most Config.MaxRecipients recipients.
//
//   - FailNext: the call fails. The worker tries again, and the recipients end as accepted.
//   - UnknownNext: the gateway accepts the messages and its answer is lost. The recipients end
//     as unknown. At a gateway with idempotency keys (Config.KeyTTL) the worker repeats the
//     call under the same key, and the recipients end as accepted.
//   - RejectNext and RejectNumber: the recipients end as rejected.
//   - SetCredit: without credit the worker holds the account until credit is set again.
//   - Block: calls wait in the gateway. Meanwhile a test can call Pause or Cancel.
//
// To hold an account by hand, call Hold of the [producer.Client].
//
// # Time
//
// [Tuma.Advance] moves the clock forward. With it, a test can check StartAt and ExpiresAt, and need
// not wait for real time. Otherwise the clock runs at its normal speed, and the worker waits as
// long as in production. If a call found no connection or got no answer, the worker waits half a
// second or more before it repeats the call. After Retry it waits five seconds before it sends.
// After FailNext it waits 10 ms.
//
// A Tuma does not work in a testing/synctest bubble, because it uses real connections.
//
// # Limits
//
// The embedded Redis is miniredis, a single server in memory. It has no disk, so
// [producer.WithDurability] with Fsync has no effect. It has no replicas, so with Replicas,
// Enqueue returns [producer.ErrNotDurable]. It has no maxmemory, so Enqueue never returns
// [producer.ErrFull]. The gateway sends no delivery reports, so no recipient ends as delivered
// or undelivered.
//
// Each test should have its own Tuma. Two Tumas share no data, so such tests may run in
// parallel.
package producertest
