package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Report is a final delivery report about a recipient of a call.
type Report struct {
	Batch string
	// Call is the position of the call in the batch, and Position that of the recipient in the call.
	// Row is the recipient's row in the upload, from 1.
	Call, Position, Row int
	MessageID           string // in the form in which the provider returns it from a call
	Delivered           bool
	// Reason and State are the gateway's words for the reason and the status of an undelivered
	// message. They are cut to 64 bytes each.
	Reason, State string
	// At is when the report came, by Redis' clock.
	At time.Time
}

// ReportOutcome is the result of a report for its recipient.
type ReportOutcome string

const (
	// ReportApplied means that the recipient is delivered or undelivered from now on.
	ReportApplied ReportOutcome = "applied"
	// ReportRepeated means that the recipient was delivered or undelivered before, and stays so.
	ReportRepeated ReportOutcome = "repeated"
	// ReportUnsettled means that the ledger has no accepted message for the recipient yet.
	ReportUnsettled ReportOutcome = "unsettled"
	// ReportMoved means that the recipient is in another batch now.
	ReportMoved ReportOutcome = "moved"
	// ReportOther means that the report is not about this recipient: the message ID differs, or the
	// gateway refused the message.
	ReportOther ReportOutcome = "other"
	// ReportGone means that the ledger has no such campaign, or cannot read its records.
	ReportGone ReportOutcome = "gone"
)

// reportArgs are the arguments of report.lua for one report.
type reportArgs struct {
	Batch               string
	Call, Position, Row int
	ID                  []byte
	Status              int
	Reason              string
	At                  time.Time
}

// Reports applies delivery reports to the campaigns of a ledger, and reads what a report needs to be
// matched. It is safe for concurrent use.
type Reports struct{ ledger *Ledger }

// NewReports returns the Reports of a ledger.
func NewReports(l *Ledger) *Reports { return &Reports{ledger: l} }

// Apply applies reports to recipients of one campaign in one run of a script. upload is the token of
// the campaign's upload: if another campaign has taken the id, every outcome is ReportGone. Apply
// returns one outcome for each report, in order. Applying a report twice, or a later report about the
// same message, changes nothing.
func (x *Reports) Apply(ctx context.Context, id, upload string, reports []Report) ([]ReportOutcome, error) {
	args := make([]any, 0, 8*len(reports))
	for _, r := range reports {
		a := reportArgs{Batch: r.Batch, Call: r.Call, Position: r.Position, Row: r.Row, ID: storedID(r.MessageID), Status: int(campaign.Delivered), At: r.At}
		if !r.Delivered {
			a.Status, a.Reason = int(campaign.Undelivered), reportReason(r)
		}
		args = append(args, script.Args(a)...)
	}
	words, err := x.ledger.scripts.Run(ctx, reportScript, []string{ledgerKey(id), openKey(id)}, append(slices.Clip(args), upload)...)
	if err = scriptFault(id, reportScript.Name(), args, err); AsUnreadable(err) != nil {
		if len(reports) == 1 {
			return []ReportOutcome{ReportGone}, nil // the worker that loads the batch quarantines the record
		}
		out := make([]ReportOutcome, 0, len(reports))
		for i := range reports { // only the reports about the unreadable record must fail
			one, err := x.Apply(ctx, id, upload, reports[i:i+1])
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

// storedID returns a message ID as the record of its recipient holds it.
func storedID(id string) []byte {
	b := appendRecord(nil, campaign.Record{MessageID: id})
	return b[4:]
}

// reportReason returns the reason and the state of a report as the campaign's list of reasons holds
// them.
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

// BatchRef names a batch of a campaign. Upload is the token of the campaign's upload, which differs
// between campaigns that had one ID in turn.
type BatchRef struct{ Campaign, Upload, Name string }

// Batches reads the recipients of batches, without their bodies, in one round trip. The result has nil
// for a batch that does not exist or cannot be read, or whose campaign another one has replaced.
func (x *Reports) Batches(ctx context.Context, refs []BatchRef) ([]*Batch, error) {
	got := make([]*redis.SliceCmd, len(refs))
	_, err := x.ledger.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, r := range refs {
			got[i] = p.HMGet(ctx, ledgerKey(r.Campaign), fieldUpload, batchField(r.Name))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	out := make([]*Batch, len(refs))
	for i, r := range refs {
		fields := got[i].Val()
		if fields[1] == nil || script.Text(fields[0]) != r.Upload {
			continue
		}
		b := &Batch{Name: r.Name}
		if b.Calls, b.To, err = decodeBatch([]byte(script.Text(fields[1]))); err == nil {
			out[i] = b
		}
	}
	return out, nil
}

// Records reads the records of a call of a batch, in the order of its recipients. They may be those of
// another campaign that has replaced the batch's. It returns an error that wraps Unreadable if they
// cannot be read.
func (x *Reports) Records(ctx context.Context, id string, b *Batch, call int) ([]campaign.Record, error) {
	if call < 0 || call >= len(b.Calls) {
		return nil, fmt.Errorf("read call %d of batch %s of %s: %w", call, b.Name, id, campaign.ErrRecord)
	}
	field := callResultField(b.Name, call)
	got, err := x.ledger.rdb.HMGet(ctx, ledgerKey(id), field).Result()
	if err != nil {
		return nil, fmt.Errorf("read call %d of batch %s of %s: %w", call, b.Name, id, err)
	}
	records, err := callRecords(got[0], b.Calls[call])
	if err != nil {
		return nil, unreadable(id, field, script.Text(got[0]), err)
	}
	return records, nil
}

// Prove settles the recipient with a number in an attempt as accepted, because a delivery report with
// the message ID shows that the gateway took the message. upload is the token of the upload of the
// attempt's campaign. Prove returns ErrNotFound if the campaign is gone or was replaced. Batches that
// become free are left to the sweeper.
func (x *Reports) Prove(ctx context.Context, upload string, a attempts.Attempt, to sms.MSISDN, messageID string) error {
	spec, err := x.ledger.Spec(ctx, a.Campaign)
	if err != nil {
		return err
	}
	segments, _ := sms.Segments(spec.Body)
	const openBatchLimit = 1
	_, err = reconcile(ctx, x.ledger, a, upload, map[sms.MSISDN]string{to: messageID}, segments, openBatchLimit)
	return err
}

// Places are the recipients of a claim. BatchSize is the number of recipients of the batch, and
// Positions are the positions in the batch of the claim's recipients, in their order.
type Places struct {
	BatchRef
	BatchSize int
	Positions []int
}

// Places returns where the recipients of the claim are.
func (c *Claim) Places() Places {
	p := Places{BatchRef: BatchRef{c.id, c.gen.upload, c.batch}, BatchSize: c.gen.batchSize, Positions: make([]int, len(c.gen.To))}
	for i := range p.Positions {
		p.Positions[i] = c.gen.first + int(c.gen.position(i))
	}
	return p
}

// MovedTo returns the batches that recipients of a batch have moved to.
func (x *Reports) MovedTo(ctx context.Context, id, name string) ([]string, error) {
	return x.ledger.records.movedTo(ctx, id, name)
}
