// Package producer enqueues SMS campaigns. A Go service embeds it; Tuma workers, which run
// elsewhere, plan and send the campaigns. The package needs only Redis. It has no gateway code and
// holds no credentials.
//
// # Enqueue
//
// A campaign is one body to any number of recipients. A one-time code is a campaign with one
// recipient.
//
//	client, err := producer.New(redisClient)
//	...
//	receipt, err := client.Enqueue(ctx, producer.Campaign{
//		ID:    "order-1234-shipped",
//		Via:   "at",                   // an account of the workers' configuration
//		From:  "ACME",                 // the sender ID
//		Body:  "Your order is on its way.",
//		Class: producer.Transactional, // sent at any hour, from a separate queue
//	}, producer.Numbers("+254712345678"))
//
// Enqueue works without a running worker, because workers leave the cards of their accounts in Redis. Before the first
// worker has started, run `tuma accounts sync`, or name the accounts with [WithAccounts].
//
// Enqueue reads recipients from a sequence, an iter.Seq2[Recipient, error], so that a file or a database cursor with
// millions of rows needs no more memory than a source with ten rows. A recipient whose number is invalid or repeated is
// not an error: it is skipped, and [Client.Results] returns the reason.
//
// # Idempotency
//
// Campaign.ID is your idempotency key. Derive it from the event that causes the message, such as the order number,
// never from the time or a random number. Then you can handle every failure in the same way: call Enqueue again with
// the same arguments. If the first call has succeeded, the second returns the same receipt with Again set, and nothing
// is sent twice. The same ID with other content is [ErrConflict], because Tuma cannot know which text is right. A
// campaign that was cancelled before any message of it was submitted to a gateway frees its ID. If no event gives the
// campaign an ID, [ContentID] derives one from the content.
//
// # Errors
//
// Test errors with errors.Is. They fall into three groups:
//
//   - [ErrInvalid], [ErrConflict], [ErrUnknownAccount] and [ErrNoCredit] are about the arguments.
//     Repeating the call does not help. An ErrInvalid lists every mistake as a [*FieldError].
//   - [ErrFull] is about Redis. Repeat the call later.
//   - For any other error, such as a lost connection, the campaign may or may not be committed.
//     Repeat the call with the same arguments until it returns a receipt.
//
// # With a database transaction: the outbox
//
// A service often changes its database and sends a message about the change. If it calls Enqueue
// inside the transaction, a rollback cannot take the message back. If it calls Enqueue after the
// commit, a crash in between loses the message. Write the message into a table in the same
// transaction, and let a loop enqueue the rows:
//
//	for row := range unsent(db) { // rows of the outbox table that are not marked as enqueued
//		_, err := client.Enqueue(ctx, producer.Campaign{ID: "outbox-" + row.ID, Via: "at", Body: row.Body},
//			producer.Numbers(row.Phone))
//		switch {
//		case errors.Is(err, producer.ErrInvalid):
//			markAsFailed(db, row, err) // a person must look at it
//		case err != nil:
//			return err // try again later, from this row on
//		default:
//			markAsEnqueued(db, row)
//		}
//	}
//
// After a crash between Enqueue and markAsEnqueued, the loop repeats the Enqueue, which then
// changes nothing.
//
// # Status and results
//
// [Client.Status] returns the state and the counts, and in BlockedBy the reasons why the campaign
// sends nothing at the moment. [Client.Wait] blocks until the campaign has ended, and
// [Client.Watch] yields the status at intervals. [Client.Results] yields one result for every
// recipient, and [Client.Find] the messages to one number in all campaigns. Every recipient ends in exactly one status:
//
//   - accepted: the gateway has taken the message.
//   - rejected: the gateway has certainly not sent the message. Reason and Code name the cause.
//   - skipped: the message was never submitted, such as to an invalid number.
//   - unknown: Tuma does not know whether the message was sent, because the answer of a gateway without
//     idempotency keys was lost.
//   - delivered, undelivered: the status in a later delivery report, if the workers collect reports for the account.
//
// # What to do with unknown
//
// Decide which mistake costs less. If a second message does no harm (a reminder, a one-time code),
// set Campaign.OnUnknown to [OnUnknownResend], or call [Client.Retry] with Unknown set. If a second
// message does harm (a payment request), leave the recipient unknown and let a person decide. Tuma
// does not guess.
//
// # Control
//
// [Client.Pause], [Client.Resume] and [Client.Cancel] act on a campaign. [Client.Hold] and [Client.Release] act on an
// account. Once Pause returns, no new call of the campaign starts. Pause returns the number of calls that are still in
// flight. [Client.OptOut] adds people to a suppression list that every campaign obeys, even a running one.
//
// # Testing
//
// Package producertest gives the tests of a service a real worker with an embedded Redis and a gateway whose answers
// the test chooses. The package needs no network and no redis-server.
//
// [Preview] plans a campaign without sending it. It returns the recipients that would be skipped, the number of
// segments, the cost and the duration.
package producer
