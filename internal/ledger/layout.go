package ledger

import "github.com/tuma-sms/tuma/internal/script"

// The keys of a campaign, all with its hash tag {id}:
//
//	tuma:{id}:l   the ledger hash, below
//	tuma:{id}:s   the spec: what the producer asked for, written once
//	tuma:{id}:o   the open set: batches that are handed out, and 'plan'. The score is the watch:
//	              the time in ms at which the sweeper checks whether a worker has the batch
//	tuma:{id}:u:… an upload in progress; it becomes the ledger hash at commit
//	tuma:{id}:up  the tokens of the uploads in progress
//	tuma:{id}:t   the tombstone, after retention; or the archive of a single message that has ended (archive.go)
//	tuma:{id}:a   quarantined records (they cannot be read), with their first bytes
//	tuma:{id}:d:N the overlay of delivery reports, and tuma:{id}:dt the times to delivery (overlay.go)
//	tuma:{id}:aw  the work that needs quarantined records, scored by the time of the quarantine in ms
//
// The fields of the ledger hash. In their names, "a" stands for the number of a stream (an account and the
// sending hours of its recipients). B stands for a batch "a.s", K for a call in the batch, G for a
// generation of the call, and N for another number:
//
//	v hash up at total pg start exp   format, content hash, upload, creation time, recipients, pages, start and expiry
//	cur carry pt frozen win wplan     planning: next page, carried-over recipients, last answer, snapshot, sending hours, wake
//	pending accepted … skipped        recipients by status; absent when 0
//	fly flyc                          pending recipients in flight; calls in flight
//	was                               pending recipients that were unknown before a retry or resend, and are not in flight
//	per to:a accepted:a … was:a       only with several accounts: number of streams; recipients of each stream, and the
//	                                  counts above for each stream; also seg:a cost:a ccy:a
//	x:REASON xt                       skipped recipients by reason; skipped duplicates with another text
//	calls seg resent                  submitted calls, segments of accepted messages, recipients that went out twice
//	cost ccy                          cost of accepted messages in millionths of a currency, and the currency
//	dr                                reasons of undelivered messages
//	paused stop stop_at fin           state: reason and time of a pause, reason and time of a stop, time of the end
//	lim cb:a                          failure threshold and canary; batches of the canary, while it is open
//	nb:a h:a ob:a                     number of batches planned, handed out, and open now
//	z:a                               since when the stream is outside its sending hours, and when they begin
//	pN refN kN                        page N as uploaded; its recipients' references, if there are any; the recipients that
//	                                  planning skipped in it
//	bB tB lB wB xB                    batch record, bodies of its calls in a campaign with merge fields, number of open
//	                                  generations, wake number, open generations other than 0
//	gB.K.G iB.K.G nB.K                a generation, its positions in the call, the highest generation number
//	rB.K                              results of a call's recipients
//	mB fB qB.K mt                     moves: batches that recipients moved to; batches they came from; numbers given to
//	                                  those batches' generations; last move
//	rt rop rlast ctl                  retries: the running one, the last number, the last finished one; recent orders
//	bare                              set once the text, or a number, was deleted after the end
//	aside left                        number of quarantined records; work that left the open set because of them
//	ex eN                             opt-outs received: how many entries, and the last token; each entry's list and numbers
//
// Accounts, suppression lists and attempts have separate keys: internal/accounts, internal/optout
// and internal/attempts.
const (
	keyPrefix     = script.KeyPrefix
	openIndex     = keyPrefix + "open"
	campaignIndex = keyPrefix + "campaigns"
	messageIndex  = keyPrefix + "messages"
	sweeperLock   = keyPrefix + "sweeper"
	announcedKey  = keyPrefix + "announced" // events that a worker has logged
	payloadsKey   = keyPrefix + "payloads"  // quarantined tasks that name no campaign
)

func ledgerKey(id string) string          { return keyPrefix + "{" + id + "}:l" }
func specKey(id string) string            { return keyPrefix + "{" + id + "}:s" }
func openKey(id string) string            { return keyPrefix + "{" + id + "}:o" }
func stagingKey(id, upload string) string { return keyPrefix + "{" + id + "}:u:" + upload }
func uploadsKey(id string) string         { return keyPrefix + "{" + id + "}:up" }
func tombstoneKey(id string) string       { return keyPrefix + "{" + id + "}:t" }
func quarantineKey(id string) string      { return keyPrefix + "{" + id + "}:a" }
func quarantineWorkKey(id string) string  { return keyPrefix + "{" + id + "}:aw" }
