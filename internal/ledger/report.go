package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Report is a final delivery report about a recipient of a call.
type Report struct {
	Batch string
	// Call is the position of the call in the batch. Position is the position of the recipient in
	// the call. Row is the recipient's row in the upload, from 1.
	Call, Position, Row int
	MessageID           string // the ID in the same form as in the provider's result of a call
	Delivered           bool
	// Reason and State are the reason and the status of an undelivered message, in the gateway's
	// words. Each is cut to 64 bytes.
	Reason, State string
	// At is the time when the report arrived, by Redis' clock.
	At time.Time
}

// ReportOutcome is the result of a report for its recipient.
type ReportOutcome string

const (
	// ReportApplied means that this report made the recipient delivered or undelivered.
	ReportApplied ReportOutcome = "applied"
	// ReportRepeated means that the recipient was delivered or undelivered before, and that its status stays
	// the same.
	ReportRepeated ReportOutcome = "repeated"
	// ReportUnsettled means that the ledger has no accepted message for the recipient yet.
	ReportUnsettled ReportOutcome = "unsettled"
	// ReportMoved means that the recipient is in another batch now.
	ReportMoved ReportOutcome = "moved"
	// ReportOther means that the report is not about this recipient: the message ID differs, or the
	// gateway refused the message.
	ReportOther ReportOutcome = "other"
	// ReportGone means that the campaign does not exist, or that its records cannot be read.
	ReportGone ReportOutcome = "gone"
	// reportStale means that the call has changed since the proof of a report was made.
	reportStale ReportOutcome = "stale"
)

// reportArgCount is the number of fields of reportArgs.
const reportArgCount = 11

// reportArgs are the arguments of report.lua for one report.
type reportArgs struct {
	Batch               string
	Call, Position, Row int
	ID                  []byte
	Status              int
	Reason              string
	At                  time.Time
	// Length, Generation and Settled are a proof (report_proof.go). Length is 0 if the report has no proof.
	Length              int
	Generation, Settled string
}

// Reports applies delivery reports to the campaigns of a ledger, and reads the data that is needed
// to match a report to its recipient. It is safe for concurrent use.
type Reports struct {
	ledger *Ledger
	proofs *proofs
}

// NewReports returns the Reports of a ledger.
func NewReports(l *Ledger) *Reports { return &Reports{l, newProofs()} }

// Apply applies reports to recipients of one campaign in one run of a script. upload is the token of
// the campaign's upload: if another campaign has taken the id, every outcome is ReportGone. Apply
// returns one outcome for each report, in order. A report that is applied twice changes nothing the
// second time. A later report about the same message also changes nothing.
func (x *Reports) Apply(ctx context.Context, id, upload string, reports []Report) ([]ReportOutcome, error) {
	calls := make([]callRef, len(reports))
	for i, r := range reports {
		calls[i] = callRef{id, upload, r.Batch, r.Call}
	}
	if err := x.proofs.read(ctx, x.ledger.rdb, calls); err != nil {
		return nil, fmt.Errorf("apply delivery reports to %s: %w", id, err)
	}
	out, err := x.apply(ctx, id, upload, reports, calls)
	var stale []int
	for i, o := range out {
		if o == reportStale {
			stale = append(stale, i)
			x.proofs.drop(calls[i])
		}
	}
	if err != nil || len(stale) == 0 {
		return out, err
	}
	rest := make([]Report, len(stale))
	for i, at := range stale {
		rest[i] = reports[at]
	}
	again, err := x.apply(ctx, id, upload, rest, nil)
	if err != nil {
		return nil, err
	}
	for i, at := range stale {
		out[at] = again[i]
	}
	return out, nil
}

// apply does what Apply does. If calls are given, it uses the proofs of these calls, one call
// for each report. If a call has changed since its proof was made, the outcome is reportStale.
func (x *Reports) apply(ctx context.Context, id, upload string, reports []Report, calls []callRef) ([]ReportOutcome, error) {
	args := make([]any, 0, reportArgCount*len(reports)+1)
	for i, r := range reports {
		a := reportArgs{Batch: r.Batch, Call: r.Call, Position: r.Position, Row: r.Row, ID: storedID(r.MessageID), Status: int(campaign.Delivered), At: r.At}
		if !r.Delivered {
			a.Status, a.Reason = int(campaign.Undelivered), reportReason(r)
		}
		if calls != nil {
			if p := x.proofs.get(calls[i]); p != nil {
				var ok bool
				if a.Generation, a.Settled, ok = p.proof(r.Position, x.proofs.hash(a.ID)); ok {
					a.Length = p.length
				}
			}
		}
		args = append(args, script.Args(a)...)
	}
	words, err := x.run(ctx, id, upload, args)
	if err = scriptFault(id, reportScript.Name(), args, err); AsUnreadable(err) != nil {
		if len(reports) == 1 {
			return []ReportOutcome{ReportGone}, nil // the worker that loads the batch quarantines the record
		}
		out := make([]ReportOutcome, 0, len(reports))
		for i := range reports { // only the reports about the unreadable record must fail
			one, err := x.apply(ctx, id, upload, reports[i:i+1], nil)
			if err != nil {
				return nil, err
			}
			out = append(out, one...)
		}
		return out, nil
	}
	if err == nil && len(words) != len(reports) {
		err = fmt.Errorf("%w: %d for %d", script.ErrAnswer, len(words), len(reports))
	}
	if err != nil {
		return nil, fmt.Errorf("apply delivery reports to %s: %w", id, err)
	}
	out := make([]ReportOutcome, len(words))
	for i, w := range words {
		if out[i] = ReportOutcome(w); w == "missing" || w == "newer" {
			out[i] = ReportGone
		}
	}
	return out, nil
}

// run runs report.lua. A message that has only an archive gets its full form for the script, and is archived
// again afterwards.
func (x *Reports) run(ctx context.Context, id, upload string, args []any) (words []string, err error) {
	for try, restored := 1, false; ; try++ {
		words, err = x.ledger.scripts.Run(ctx, reportScript, []string{ledgerKey(id), openKey(id)}, append(slices.Clip(args), upload)...)
		if err == nil && len(words) > 0 && words[0] == "missing" && try < restoreTries {
			again, err := restore(ctx, x.ledger, id, upload)
			if err != nil {
				return nil, err
			}
			if again {
				restored = true
				continue
			}
		}
		if restored {
			archiveAgain(ctx, x.ledger, id)
		}
		return words, err
	}
}

// storedID returns a message ID in the form that the record of its recipient contains.
func storedID(id string) []byte {
	b := appendRecord(nil, campaign.Record{MessageID: id})
	return b[4:]
}

// reportReason returns the reason and the state of a report in the form that the campaign's list of
// reasons contains.
func reportReason(r Report) string {
	const longest = 64
	word := func(s string) string {
		s = strings.Map(func(c rune) rune {
			if c == '\n' || c == ':' {
				return ' '
			}
			return c
		}, s)
		return strings.ToValidUTF8(s[:min(len(s), longest)], "")
	}
	return word(r.Reason) + ":" + word(r.State)
}

// BatchRef names a batch of a campaign. Upload is the token of the campaign's upload, because
// another campaign may have used the same ID before.
type BatchRef struct{ Campaign, Upload, Name string }

// Batches reads the recipients of batches, without their bodies, in one round trip. The result has nil
// for a batch that does not exist or cannot be read. It also has nil if another campaign has replaced
// the batch's campaign.
func (x *Reports) Batches(ctx context.Context, refs []BatchRef) ([]*Batch, error) {
	got := make([]someOf, len(refs))
	for i, r := range refs {
		got[i] = someOf{id: r.Campaign, names: []string{fieldUpload, batchField(r.Name)}}
	}
	err := x.ledger.records.many(ctx, got, false)
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	out := make([]*Batch, len(refs))
	for i, r := range refs {
		fields := got[i].values
		if fields == nil || fields[1] == nil || script.Text(fields[0]) != r.Upload {
			continue
		}
		b := &Batch{Name: r.Name}
		if b.Calls, b.To, err = decodeBatch([]byte(script.Text(fields[1]))); err == nil {
			out[i] = b
		}
	}
	return out, nil
}

// Records reads the records of a call of a batch, in the order of its recipients. If another campaign
// has replaced the batch's campaign, the records may belong to the other campaign. If the records
// cannot be read, the method returns an error that wraps Unreadable.
func (x *Reports) Records(ctx context.Context, id string, b *Batch, call int) ([]campaign.Record, error) {
	if call < 0 || call >= len(b.Calls) {
		return nil, fmt.Errorf("read call %d of batch %s of %s: %w", call, b.Name, id, campaign.ErrRecord)
	}
	field := callResultField(b.Name, call)
	got, err := x.ledger.records.fields(ctx, id, field)
	if err != nil {
		return nil, fmt.Errorf("read call %d of batch %s of %s: %w", call, b.Name, id, err)
	}
	records, err := callRecords(got[0], b.Calls[call])
	if err != nil {
		return nil, unreadable(id, field, script.Text(got[0]), err)
	}
	return records, nil
}

// Prove settles one recipient of an attempt as accepted. The parameter "to" is the recipient's
// number. The caller has a delivery report with the message ID, which shows that the gateway took the
// message. The parameter "upload" is the token of the upload of the attempt's campaign. Prove returns
// ErrNotFound if the campaign is gone or was replaced. If other batches may now be opened, the
// sweeper opens them.
func (x *Reports) Prove(ctx context.Context, upload string, a attempts.Attempt, to sms.MSISDN, messageID string) error {
	spec, err := x.ledger.Spec(ctx, a.Campaign)
	if err != nil {
		return err
	}
	segments := spec.Segments()
	const openBatchLimit = 1
	_, err = reconcile(ctx, x.ledger, a, upload, map[sms.MSISDN]string{to: messageID}, segments, openBatchLimit)
	return err
}

// Places are the places of a claim's recipients in their batch. BatchSize is the number of
// recipients of the batch. Positions has the position of each recipient of the claim, in the
// claim's order.
type Places struct {
	BatchRef
	BatchSize int
	Positions []int
}

// Places returns the batch of the claim's recipients, and their positions in the batch.
func (c *Claim) Places() Places {
	p := Places{BatchRef: BatchRef{c.id, c.gen.upload, c.batch}, BatchSize: c.gen.batchSize, Positions: make([]int, len(c.gen.To))}
	for i := range p.Positions {
		p.Positions[i] = c.gen.first + int(c.gen.position(i))
	}
	return p
}

// MovedTo returns the batches to which recipients of a batch have moved.
func (x *Reports) MovedTo(ctx context.Context, id, name string) ([]string, error) {
	return x.ledger.records.movedTo(ctx, id, name)
}
