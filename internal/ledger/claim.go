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
const MaxKeyAge = 25 * 24 * time.Hour

// Go is what a claim was told.
type ClaimResult string

// The answers to a claim. Only ClaimGo lets a byte out.
const (
	ClaimGranted  ClaimResult = "go"       // submit, until the lease is over
	ClaimSettled  ClaimResult = "settled"  // nothing left to do
	ClaimBusy     ClaimResult = "busy"     // another claim holds it, until Claim.Until
	ClaimLater    ClaimResult = "later"    // backing off, until Claim.Until
	ClaimClosed   ClaimResult = "closed"   // outside of the sending hours, until Claim.Until
	ClaimPaused   ClaimResult = "paused"   //
	ClaimCanary   ClaimResult = "canary"   // beyond the campaign's canary, which has not ended
	ClaimStopped  ClaimResult = "stopped"  // cancelled or expired: Claim.Why
	ClaimStale    ClaimResult = "stale"    // a later wake works on the batch
	ClaimChanged  ClaimResult = "changed"  // not the request that was read: read again
	ClaimDoubtful ClaimResult = "doubtful" // must not go again: Claim.Why; ends in unknown
	ClaimExcluded ClaimResult = "excluded" // the campaign has been told of opt-outs since: read them
)

// DoubtNoKey is Claim.Why of a doubtful one at a gateway without idempotency keys.
const DoubtNoKey = "no_key"

// Claim is the answer to asking to submit a generation.
type Claim struct {
	Result ClaimResult
	// Token guards the lease; every later step of the claim carries it.
	Token string
	// UUID is the message_uuid to submit under.
	IdempotencyKey uuid.UUID
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
	Lookups int
	// Until is when to ask again (busy, later, closed).
	Until time.Time
	// Why is one word.
	Why string

	id, batch      string
	gen            *Generation
	openBatchLimit int
	resend         bool
}

// ClaimRequest says who claims what.
type ClaimRequest struct {
	ID, Batch string
	Wake      int
	Gen       *Generation
	// UUID names the request that would be made; what is stored wins.
	IdempotencyKey uuid.UUID
	// Login is the account's fingerprint, one word, KeyLife how long its gateway surely
	// remembers a uuid; 0: not at all.
	Login  string
	KeyTTL time.Duration
	// Lease is longer than the call can take.
	Lease time.Duration
	// Window is how many batches of the account the campaign may have open.
	OpenBatchLimit int
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
		shortUUID(r.IdempotencyKey), r.Login, r.KeyTTL.Milliseconds(), len(r.Gen.To), spanArg(r.Open), r.Exclusions)
	if errors.Is(err, ErrNotDurable) {
		return c, err
	}
	if err == nil {
		err = c.parse(out)
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
	return &Claim{Token: NewToken(), id: r.ID, batch: r.Batch, gen: r.Gen, openBatchLimit: r.OpenBatchLimit, resend: r.Resend}
}

// read takes the answer of a script.
func (c *Claim) parse(out []string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("claim %s %s: %w", c.id, c.batch, err)
		}
	}()
	c.Result = ClaimResult(out[0])
	switch {
	case c.Result == ClaimGranted && len(out) == 7:
		if c.IdempotencyKey, err = longUUID(out[1]); err != nil {
			return err
		}
		c.Doubt, c.First, c.At = out[2] == "1", parseMilli(out[3]), parseMilli(out[4])
		var err1, err2 error
		c.Tries, err1 = strconv.Atoi(out[5])
		c.Claims, err2 = strconv.Atoi(out[6])
		if err1 != nil || err2 != nil {
			return errAnswer
		}
	case c.Result == ClaimGranted:
		return errAnswer
	case (c.Result == ClaimBusy || c.Result == ClaimLater || c.Result == ClaimClosed) && len(out) > 1:
		c.Until = parseMilli(out[1])
	case c.Result == ClaimStopped && len(out) > 2:
		c.Why, c.Doubt = out[1], out[2] == "1"
	case c.Result == ClaimDoubtful && len(out) > 1:
		c.Why, c.Doubt = out[1], true
		if len(out) < 4 {
			return errAnswer
		}
		c.At = parseMilli(out[2])
		if c.Lookups, err = strconv.Atoi(out[3]); err != nil {
			return errAnswer
		}
	}
	return nil
}

// looksBefore is how many looks there were before the one that a settle tells of; none
// were before the call's own answer, and it is not told as one.
func (c *Claim) lookupsBefore() int {
	if c.Result != ClaimDoubtful {
		return -1
	}
	return c.Lookups
}

func shortUUID(u uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(u[:]) }

func longUUID(s string) (uuid.UUID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return uuid.UUID{}, errors.Join(errRecord, err)
	}
	return uuid.FromBytes(b)
}
