package ledger

// The keys of a campaign, all under its hash tag {id}:
//
//	tuma:{id}:l   the ledger hash, below
//	tuma:{id}:s   the spec: what was asked for, written once
//	tuma:{id}:o   the open set: batches that are handed out (and 'plan'), scored by
//	              the ms at which the sweeper looks whether somebody works on them
//	tuma:{id}:u:… an upload being written; it becomes the ledger hash at commit
//	tuma:{id}:t   the tombstone after retention
//	tuma:{id}:a   records that cannot be read and were set aside, with their bytes
//	tuma:{id}:aw  the work that needs them, scored by when it was set aside
//
// The fields of the ledger hash (a: lane, an account and the sending hours of its
// recipients, b: batch "a.s", k: call in the batch, g: generation of the call):
//
//	v hash up at total pg start exp   format, content hash, upload, created, recipients, pages, times
//	cur carry pt frozen win wplan     planning: next page, recipients carried over, last answer, frozen record and hours, wake
//	pending accepted … skipped        recipients by status, absent when 0
//	fly flyc                          pending recipients, and calls, in flight
//	was                               pending recipients, not in flight, that a retry or a resend took out of unknown
//	per to:a accepted:a … was:a       where there are several accounts: how many lanes; of each, its recipients and these counts
//	x:REASON                          left-out recipients by reason
//	calls seg resent                  what was submitted
//	paused stop stop_at fin           state
//	lim cb:a                          limit on what is rejected or unknown; batches of the canary, while it is open
//	nb:a h:a ob:a                     batches planned, handed out, open
//	z:a                               since when the lane is closed, and when it opens
//	pN kN                             page N as uploaded; what planning left out of it
//	bB tB lB wB xB                    batch record, its calls' bodies where they have their own, open generations, wake number, open extra generations
//	gB.K.G iB.K.G nB.K                a generation, its positions in the call, how many there are
//	rB.K                              results of a call's recipients
//	mB fB qB.K mt                     batches that recipients moved to; came from; generations of those, by number; last move
//	rt rop rlast ctl                  retries, recent orders
//	aside left                        records set aside, works that left the open set for it
//	ex eN                             opt-outs told of: how many times, the last token; each with its list and numbers
//
// Over all campaigns, the suppression lists: optout.go.
//
// By login, where a gateway can be asked what it has taken (attempt.go):
//
//	tuma:attempts:{login}   the calls that may have been taken, scored by the ms of their claim
//	tuma:sent:{login}:N     the ids of the messages of ten minutes, hashed
const (
	keyPrefix     = "tuma:"
	openIndex     = keyPrefix + "open"
	campaignIndex = keyPrefix + "campaigns"
	accountIndex  = keyPrefix + "accounts"
	sweeperLock   = keyPrefix + "sweeper"
	routesKey     = keyPrefix + "routes"
	payloadsKey   = keyPrefix + "payloads" // tasks that cannot be read and name no campaign
)

func ledgerKey(id string) string          { return keyPrefix + "{" + id + "}:l" }
func specKey(id string) string            { return keyPrefix + "{" + id + "}:s" }
func openKey(id string) string            { return keyPrefix + "{" + id + "}:o" }
func stagingKey(id, upload string) string { return keyPrefix + "{" + id + "}:u:" + upload }
func tombstoneKey(id string) string       { return keyPrefix + "{" + id + "}:t" }
func quarantineKey(id string) string      { return keyPrefix + "{" + id + "}:a" }
func quarantineWorkKey(id string) string  { return keyPrefix + "{" + id + "}:aw" }
func accountKey(name string) string       { return keyPrefix + "account:{" + name + "}" }

// RateKey is the key in which an account's limiter lives, beside its account card.
func RateKey(account string) string { return keyPrefix + "rate:{" + account + "}" }
