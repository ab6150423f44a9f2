package ledger

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// KeyLife is how long after its first use a message_uuid counts as known to the
// gateway: five days less than the shortest documented life of 30.
const KeyLife = 25 * 24 * time.Hour

// Go is what a claim was told.
type Go string

// The answers to a claim. Only ClaimGo lets a byte out.
const (
	ClaimGo       Go = "go"       // submit, until the lease is over
	ClaimSettled  Go = "settled"  // nothing left to do
	ClaimBusy     Go = "busy"     // another claim holds it, until Claim.Until
	ClaimLater    Go = "later"    // backing off, until Claim.Until
	ClaimClosed   Go = "closed"   // outside of the sending hours, until Claim.Until
	ClaimPaused   Go = "paused"   //
	ClaimCanary   Go = "canary"   // beyond the campaign's canary, which has not ended
	ClaimStopped  Go = "stopped"  // cancelled or expired: Claim.Why
	ClaimStale    Go = "stale"    // a later wake works on the batch
	ClaimChanged  Go = "changed"  // not the request that was read: read again
	ClaimDoubtful Go = "doubtful" // must not go again: Claim.Why; ends in unknown
	ClaimExcluded Go = "excluded" // the campaign has been told of opt-outs since: read them
)

// DoubtNoKey is Claim.Why of a doubtful one at a gateway without idempotency keys.
const DoubtNoKey = "no_key"

// Claim is the answer to asking to submit a generation.
type Claim struct {
	Answer Go
	// Token guards the lease; every later step of the claim carries it.
	Token string
	// UUID is the message_uuid to submit under.
	UUID uuid.UUID
	// Doubt says that an earlier attempt under this UUID may have been taken.
	Doubt bool
	// First is when this UUID was first submitted, At when this claim was made,
	// by Redis' clock.
	First, At time.Time
	// Tries counts the answers about the message itself so far, Claims the claims of the
	// generation, this one included.
	Tries, Claims int
	// Looks is how often a doubtful one was looked for at the gateway; At is then when it
	// was claimed last.
	Looks int
	// Until is when to ask again (busy, later, closed).
	Until time.Time
	// Why is one word.
	Why string

	id, batch string
	gen       *Generation
	window    int
	resend    bool
}

// ClaimRequest says who claims what.
type ClaimRequest struct {
	ID, Batch string
	Wake      int
	Gen       *Generation
	// UUID names the request that would be made; what is stored wins.
	UUID uuid.UUID
	// Login is the account's fingerprint, one word, KeyLife how long its gateway surely
	// remembers a uuid; 0: not at all.
	Login   string
	KeyLife time.Duration
	// Lease is longer than the call can take.
	Lease time.Duration
	// Window is how many batches of the account the campaign may have open.
	Window int
	// Open are the times in which it may go, in their order; empty: any time.
	Open []Span
	// Exclusions is the version of the campaign's opt-outs that were taken out of Gen.
	Exclusions string
	// Resend: whom the end of this claim leaves unknown, for the first time, is
	// submitted once more.
	Resend bool
}

// Span is a stretch of time, from From until just before Until.
type Span struct{ From, Until time.Time }

func spanArg(spans []Span) string {
	var b []byte
	for _, s := range spans {
		b = fmt.Appendf(b, "%d %d ", s.From.UnixMilli(), s.Until.UnixMilli())
	}
	return string(b)
}

// Claim asks to submit one generation. After an error the caller does not know
// whether it holds a claim: it must not submit, and the lease runs out; but beside an
// ErrNotDurable comes a claim that can be released.
func (l *Ledger) Claim(ctx context.Context, r ClaimRequest) (*Claim, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	c := r.claim()
	out, err := l.run(ctx, claimScript, r.ID, nil,
		c.Token, r.Batch, r.Wake, r.Gen.Call, r.Gen.Number, r.Gen.Revision, r.Lease.Milliseconds(),
		shortUUID(r.UUID), r.Login, r.KeyLife.Milliseconds(), len(r.Gen.To), spanArg(r.Open), r.Exclusions)
	if errors.Is(err, ErrNotDurable) {
		return c, err
	}
	if err == nil {
		err = c.read(out)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// check errs for what the scripts could not write down.
func (r ClaimRequest) check() error {
	if len(strings.Fields(r.Login)) != 1 || strings.TrimSpace(r.Login) != r.Login {
		return fmt.Errorf("claim %s %s: the login is not one word", r.ID, r.Batch)
	}
	return nil
}

// claim is one that is about to be asked for.
func (r ClaimRequest) claim() *Claim {
	return &Claim{Token: NewToken(), id: r.ID, batch: r.Batch, gen: r.Gen, window: r.Window, resend: r.Resend}
}

// read takes the answer of a script.
func (c *Claim) read(out []string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("claim %s %s: %w", c.id, c.batch, err)
		}
	}()
	c.Answer = Go(out[0])
	switch {
	case c.Answer == ClaimGo && len(out) == 7:
		if c.UUID, err = longUUID(out[1]); err != nil {
			return err
		}
		c.Doubt, c.First, c.At = out[2] == "1", parseMilli(out[3]), parseMilli(out[4])
		var err1, err2 error
		c.Tries, err1 = strconv.Atoi(out[5])
		c.Claims, err2 = strconv.Atoi(out[6])
		if err1 != nil || err2 != nil {
			return errAnswer
		}
	case c.Answer == ClaimGo:
		return errAnswer
	case (c.Answer == ClaimBusy || c.Answer == ClaimLater || c.Answer == ClaimClosed) && len(out) > 1:
		c.Until = parseMilli(out[1])
	case c.Answer == ClaimStopped && len(out) > 2:
		c.Why, c.Doubt = out[1], out[2] == "1"
	case c.Answer == ClaimDoubtful && len(out) > 1:
		c.Why, c.Doubt = out[1], true
		if len(out) < 4 {
			return errAnswer
		}
		c.At = parseMilli(out[2])
		if c.Looks, err = strconv.Atoi(out[3]); err != nil {
			return errAnswer
		}
	}
	return nil
}

// Settled is what ending a claim came to.
type Settled struct {
	// Wakes are batches that were handed out because there was room.
	Wakes []Wake
	// Done: nothing of the campaign is pending any more.
	Done bool
	// Count is how many unknown answers count against a doubtful call.
	Count int
	// Stale: the claim was no longer this one's to end; nothing changed.
	Stale bool
}

// Basis says on what a settle rests.
type Basis string

// The grounds for settling.
const (
	// Answer: the gateway spoke of these recipients.
	Answer Basis = "answer"
	// Partial: the gateway spoke, but not of all; who is Unknown in the records
	// stays doubtful, and may be asked for again under the same uuid.
	Partial Basis = "partial"
	// Spared: the gateway's word as in Answer, but who is Pending in the records was
	// refused because of the account or the campaign: nobody's attempt is spent.
	Spared Basis = "spared"
	// Verdict: ours, from an error or the lack of an answer.
	Verdict Basis = "verdict"
	// Looked: the gateway's word as in Answer, of a call or from its list, but who is Unknown
	// in the records stays doubtful, and is looked for in its list after retryIn.
	Looked Basis = "looked"
	// Abandon: a doubtful generation that will not be submitted again.
	Abandon Basis = "abandon"
)

// patientStatus is what settle.lua reads as Pending for longer than the others.
const patientStatus = 7

// Settle writes what became of the generation's recipients, one record each in
// order; Pending is: certainly refused for now, may go again after retryIn, or after
// the longest RetryIn among those records that ask for longer, apart from the others.
// Once more goes too, where the claim says Resend, who is Unknown and was not before.
// segments is the number of segments of one message.
func (l *Ledger) Settle(ctx context.Context, c *Claim, records []Record, basis Basis, segments int, retryIn time.Duration) (Settled, error) {
	if len(records) != len(c.gen.To) {
		return Settled{}, fmt.Errorf("settle %s %s: %d records for %d recipients", c.id, c.batch, len(records), len(c.gen.To))
	}
	blob := make([]byte, 0, 22*len(records))
	var counts [7]int
	longest := retryIn
	for _, r := range records {
		if r.Status > Undelivered {
			return Settled{}, fmt.Errorf("settle %s %s: a call cannot end %s", c.id, c.batch, r.Status)
		}
		r.Generation = c.gen.Number
		counts[r.Status]++
		at := len(blob)
		if blob = appendRecord(blob, r); r.Status == Pending && r.RetryIn > retryIn {
			blob[at] = patientStatus
			longest = max(longest, r.RetryIn)
		}
	}
	out, err := l.run(ctx, settleScript, c.id, nil,
		c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, c.gen.positions, blob, string(basis), c.window,
		retryIn.Milliseconds(), segments, counts[Accepted], counts[Rejected], counts[Unknown], boolArg(c.resend), longest.Milliseconds(), c.looksBefore(),
		"", "")
	if err == nil && (out[0] == "forward" || out[0] == "lost") {
		return l.settled(ctx, c, records, segments, out)
	}
	return ended(out, err)
}

// Release ends a claim of which nothing was sent, for certain. renew: the
// gateway answered under this uuid, so the next try takes another.
func (l *Ledger) Release(ctx context.Context, c *Claim, backOff time.Duration, renew bool) (Settled, error) {
	flag := 0
	if renew {
		flag = 1
	}
	return ended(l.run(ctx, releaseScript, c.id, nil,
		c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, backOff.Milliseconds(), flag, c.window))
}

// Doubt ends a claim whose outcome is unknown. count says whether the answer
// counts against the call itself.
func (l *Ledger) Doubt(ctx context.Context, c *Claim, backOff time.Duration, count bool) (Settled, error) {
	by := 0
	if count {
		by = 1
	}
	out, err := l.run(ctx, doubtScript, c.id, nil, c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, backOff.Milliseconds(), by)
	if err != nil {
		return Settled{}, err
	}
	if out[0] != "doubtful" || len(out) < 2 {
		return Settled{Stale: true}, nil
	}
	n, err := strconv.Atoi(out[1])
	if err != nil {
		return Settled{}, errAnswer
	}
	return Settled{Count: n}, nil
}

// Split ends a claim that the gateway refused as a whole: both halves become
// generations of their own. Doubt is never split: then Stale is set.
func (l *Ledger) Split(ctx context.Context, c *Claim) (Settled, error) {
	return l.split(ctx, c, 0)
}

// SplitAfter is Split for a claim of which nothing was submitted, with so many
// recipients, at least one, in the first part.
func (l *Ledger) SplitAfter(ctx context.Context, c *Claim, first int) (Settled, error) {
	return l.split(ctx, c, max(first, 1))
}

func (l *Ledger) split(ctx context.Context, c *Claim, first int) (Settled, error) {
	return ended(l.run(ctx, splitScript, c.id, nil, c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, c.window, first))
}

// looksBefore is how many looks there were before the one that a settle tells of; none
// were before the call's own answer, and it is not told as one.
func (c *Claim) looksBefore() int {
	if c.Answer != ClaimDoubtful {
		return -1
	}
	return c.Looks
}

func ended(out []string, err error) (Settled, error) {
	if err != nil {
		return Settled{}, err
	}
	switch out[0] {
	case "settled", "forward", "released", "split":
		if len(out) < 2 { // settled by somebody else before
			return Settled{Stale: true}, nil
		}
		wakes, done, err := answerWakes(out)
		return Settled{Wakes: wakes, Done: done}, err
	}
	return Settled{Stale: true}, nil
}

func shortUUID(u uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(u[:]) }

func longUUID(s string) (uuid.UUID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return uuid.UUID{}, errors.Join(errRecord, err)
	}
	return uuid.FromBytes(b)
}
