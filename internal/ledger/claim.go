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

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// MaxKeyAge is the maximum age of an idempotency key, counted from the first use of the key. Tuma
// assumes that the gateway has forgotten an older key. MaxKeyAge is five days shorter than the
// shortest documented life of a key, which is 30 days (KoboMobile).
const MaxKeyAge = 25 * 24 * time.Hour

// ClaimResult is the result of a claim request.
type ClaimResult string

// The results of a claim. Only ClaimGranted allows a submission.
const (
	ClaimGranted  ClaimResult = "go"       // submit, before the lease ends
	ClaimSettled  ClaimResult = "settled"  // nothing is left to do
	ClaimBusy     ClaimResult = "busy"     // another claim holds the generation, until Claim.Until
	ClaimLater    ClaimResult = "later"    // the generation backs off, until Claim.Until
	ClaimClosed   ClaimResult = "closed"   // outside the sending hours, until Claim.Until
	ClaimPaused   ClaimResult = "paused"   // the campaign is paused
	ClaimCanary   ClaimResult = "canary"   // the batch waits until the campaign's canary has ended
	ClaimStopped  ClaimResult = "stopped"  // the campaign is cancelled or expired; Claim.Why is "cancelled" or "expired"
	ClaimStale    ClaimResult = "stale"    // the batch has a later wake-up call than the one that the caller handles
	ClaimChanged  ClaimResult = "changed"  // the generation has changed since it was read: read it again
	ClaimDoubtful ClaimResult = "doubtful" // the generation must not be submitted again (reason: Claim.Why); its recipients end unknown
	ClaimExcluded ClaimResult = "excluded" // the campaign has newer opt-outs: read them first
)

// DoubtNoKey is Claim.Why of a doubtful generation at a gateway without idempotency keys.
const DoubtNoKey = "no_key"

// Claim is the answer to a claim request.
type Claim struct {
	Result ClaimResult
	// Token identifies the claim. Every later step of the claim passes this token to Redis.
	Token string
	// IdempotencyKey is the key to submit under.
	IdempotencyKey uuid.UUID
	// Doubt: an earlier attempt under this key may have reached the gateway.
	Doubt bool
	// First is the time of the first claim under this key. At is the time of this claim. Both are by
	// Redis' clock.
	First, At time.Time
	// Tries is the number of answers that have counted as attempts so far. An answer about the account
	// or the campaign does not count. Claims is the number of claims of the generation, including this
	// claim.
	Tries, Claims int
	// Lookups is how often a worker has looked for a doubtful generation at the gateway. If Result is
	// ClaimDoubtful, At is the time of the generation's last claim.
	Lookups int
	// Until is the time at which the caller may claim again. It is set for ClaimBusy, ClaimLater and
	// ClaimClosed.
	Until time.Time
	// Why is the reason as one word. It is set for ClaimStopped and ClaimDoubtful.
	Why string

	id, batch      string
	gen            *Generation
	openBatchLimit int
	resend         bool
}

// ClaimRequest describes what a worker wants to claim.
type ClaimRequest struct {
	ID, Batch string
	Wake      int
	Gen       *Generation
	// IdempotencyKey is the key for this submission. If Redis has a key of the generation, Redis uses
	// that key instead.
	IdempotencyKey uuid.UUID
	// Login is the account's fingerprint. It must not contain a space. KeyTTL is the time for which the
	// gateway certainly remembers a key. If KeyTTL is 0, the gateway has no idempotency keys.
	Login  string
	KeyTTL time.Duration
	// Lease is the time for which the claim is held. It must be longer than the longest call.
	Lease time.Duration
	// OpenBatchLimit is how many batches of the stream the campaign may have open.
	OpenBatchLimit int
	// Open has the time spans in which the call may be made, in order. If Open is empty, the call may
	// be made at any time.
	Open []Span
	// Exclusions is a version of the opt-outs that the campaign has received. The caller has
	// removed the recipients in these opt-outs from Gen.
	Exclusions string
	// NameRecipients adds the numbers of Gen's recipients to the request, so that the script can compare
	// them with opt-outs that are newer than Exclusions. The script then refuses the claim only if such an
	// opt-out names one of the numbers, or if it cannot compare the opt-outs. Without NameRecipients
	// every newer opt-out refuses the claim.
	NameRecipients bool
	// If Resend is true and the call of this claim gets no outcome for a recipient, the recipient is
	// submitted once more. A recipient that was unknown before is not submitted again.
	Resend bool
}

// Span is a span of time. It includes From and excludes Until.
type Span struct{ From, Until time.Time }

func spanArg(spans []Span) string {
	var b []byte
	for _, s := range spans {
		b = fmt.Appendf(b, "%d %d ", s.From.UnixMilli(), s.Until.UnixMilli())
	}
	return string(b)
}

// Claim requests the right to submit one generation. After an error the caller does not know whether
// Redis has granted the claim. Then the caller must not submit, and must let the lease run out. If the
// error is script.ErrNotDurable, Claim also returns the claim, and the caller can release the claim.
func (l *Ledger) Claim(ctx context.Context, r ClaimRequest) (*Claim, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	c := r.claim()
	out, err := l.runOn(ctx, claimScript, r.ID, r.Gen.upload, nil, script.Args(r.args(c.Token))...)
	if errors.Is(err, script.ErrNotDurable) {
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

// claimArgs are the arguments of claim.lua.
type claimArgs struct {
	Token, Batch     string
	Wake             int
	Call, Generation int
	Revision         string
	Lease            time.Duration
	IdempotencyKey   string
	Login            string
	KeyTTL           time.Duration
	Size             int
	Spans            string
	Exclusions       string
	Recipients       string
}

func (r ClaimRequest) args(token string) claimArgs {
	return claimArgs{
		Token: token, Batch: r.Batch, Wake: r.Wake,
		Call: r.Gen.Call, Generation: r.Gen.Number, Revision: r.Gen.Revision,
		Lease: r.Lease, IdempotencyKey: shortUUID(r.IdempotencyKey), Login: r.Login, KeyTTL: r.KeyTTL,
		Size: len(r.Gen.To), Spans: spanArg(r.Open), Exclusions: r.Exclusions, Recipients: r.recipients(),
	}
}

// recipients returns the argument with the recipients' numbers. Without NameRecipients it returns "".
func (r ClaimRequest) recipients() string {
	if !r.NameRecipients {
		return ""
	}
	return numbersArg(numbersOf(r.Gen))
}

// numbersOf returns the phone numbers of the recipients of a generation.
func numbersOf(g *Generation) []sms.MSISDN {
	numbers := make([]sms.MSISDN, len(g.To))
	for i, p := range g.To {
		numbers[i] = p.MSISDN
	}
	return numbers
}

// The method "check" returns an error for a login that the scripts cannot store.
func (r ClaimRequest) check() error {
	if len(strings.Fields(r.Login)) != 1 || strings.TrimSpace(r.Login) != r.Login {
		return fmt.Errorf("claim %s %s: the login must be one word without spaces", r.ID, r.Batch)
	}
	return nil
}

// claim returns a Claim with the fields that the request determines. The other fields come from the
// script's answer (parse).
func (r ClaimRequest) claim() *Claim {
	return &Claim{Token: script.NewToken(), id: r.ID, batch: r.Batch, gen: r.Gen, openBatchLimit: r.OpenBatchLimit, resend: r.Resend}
}

// parse reads the answer of a script into c.
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
		c.Doubt, c.First, c.At = out[2] == "1", script.Milli(out[3]), script.Milli(out[4])
		var err1, err2 error
		c.Tries, err1 = strconv.Atoi(out[5])
		c.Claims, err2 = strconv.Atoi(out[6])
		if err1 != nil || err2 != nil {
			return script.ErrAnswer
		}
	case c.Result == ClaimGranted:
		return script.ErrAnswer
	case (c.Result == ClaimBusy || c.Result == ClaimLater || c.Result == ClaimClosed) && len(out) > 1:
		c.Until = script.Milli(out[1])
	case c.Result == ClaimStopped && len(out) > 2:
		c.Why, c.Doubt = out[1], out[2] == "1"
	case c.Result == ClaimDoubtful && len(out) > 1:
		c.Why, c.Doubt = out[1], true
		if len(out) < 4 {
			return script.ErrAnswer
		}
		c.At = script.Milli(out[2])
		if c.Lookups, err = strconv.Atoi(out[3]); err != nil {
			return script.ErrAnswer
		}
	}
	return nil
}

// lookupsBefore returns how many lookups came before the lookup whose result is settled, or -1 if
// the settle comes from the call's own answer.
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
		return uuid.UUID{}, errors.Join(campaign.ErrRecord, err)
	}
	return uuid.FromBytes(b)
}
