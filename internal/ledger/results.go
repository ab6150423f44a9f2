package ledger

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Row is the result of one uploaded recipient.
type Row struct {
	Row    int      // row in the upload, from 1
	Input  string   // the number as uploaded
	Values []string // the values of the merge fields, as uploaded; nil in a plain campaign, or if the values were too long to store
	MSISDN sms.MSISDN
	campaign.Record
	Account     string
	MessageUUID string
	Segments    int // segments of one message; 0 if nothing was submitted
	UpdatedAt   time.Time
	Ref         string    // the caller's own reference
	DeliveredAt time.Time // when the gateway reported the delivery; the zero time unless Status is Delivered
}

// ResultsAfter yields every uploaded recipient in the order of the upload, and reads them page by
// page. Changes made meanwhile may be missing or included. Recipients that were never planned are
// pending, or skipped after the campaign is stopped. If a record cannot be read, ResultsAfter
// stops and yields an Unreadable that names the record. It skips the rows 1 to lastRow, and does
// not read their results.
func (l *Ledger) ResultsAfter(ctx context.Context, id string, lastRow int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := l.results(ctx, id, lastRow, yield); err != nil {
			yield(Row{}, err)
		}
	}
}

func (l *Ledger) results(ctx context.Context, id string, after int, yield func(Row, error) bool) error {
	sum, err := l.Summary(ctx, id)
	if err != nil {
		return err
	}
	if sum.State == campaign.Uploading {
		return nil
	}
	head, err := l.records.fields(ctx, id, fieldPages)
	if err != nil {
		return fmt.Errorf("read results of %s: %w", id, err)
	}
	pages := script.Int(head[0])
	snapshot, _, err := l.Snapshot(ctx, id)
	if err != nil {
		return err
	}
	country := snapshot.Country
	segments := sum.Spec.Segments()
	reading := &rowReading{snapshot: snapshot, segments: segments, stopped: sum.StoppedBy, after: after, personalized: sum.Spec.Personalized(), reported: sum.reported()}
	found, stop := l.records.newRowIndex(ctx, id, sum.Total, reading)
	defer stop()
	for page, err := range l.records.pages(ctx, id, 0, pages, 1, true) {
		if err != nil {
			return err
		}
		if page.First+len(page.Inputs)-1 <= after {
			continue
		}
		left, err := l.records.skipped(ctx, id, page)
		if err != nil {
			return err
		}
		for i, input := range page.Inputs {
			if page.First+i <= after {
				continue
			}
			row, err := rowOf(ctx, page.First+i, &left, found)
			if err != nil {
				return err
			}
			row.Input, row.Ref = input, sum.Spec.Ref
			if page.Refs != nil {
				row.Ref = page.Refs[i]
			}
			if page.Values != nil {
				row.Values = page.Values[i]
			}
			if row.MSISDN == 0 && row.Status == campaign.Skipped && row.Reason != campaign.ReasonInvalidNumber {
				row.MSISDN = readAgain(input, country)
			}
			if !yield(row, nil) {
				return nil
			}
		}
	}
	return nil
}

// readAgain parses the number of a recipient that is in no batch. It returns 0 if the input is not
// a number.
func readAgain(input, country string) sms.MSISDN {
	m, err := sms.ParseMSISDN(input, country)
	if err != nil {
		return 0
	}
	return m
}

func (l recordReader) skipped(ctx context.Context, id string, page campaign.Page) ([]campaign.SkippedRecipient, error) {
	got, err := l.fields(ctx, id, skippedField(page.Number))
	if err != nil {
		return nil, fmt.Errorf("read results of %s: %w", id, err)
	}
	if got[0] == nil {
		return nil, nil
	}
	out, err := decodeSkipped(page.First-1, []byte(script.Text(got[0])))
	if err != nil {
		return nil, unreadable(id, skippedField(page.Number), script.Text(got[0]), err)
	}
	return out, nil
}

// rowOf returns the result of a row. It looks in the skipped recipients first, then in the batches.
func rowOf(ctx context.Context, n int, left *[]campaign.SkippedRecipient, found *rowIndex) (Row, error) {
	for len(*left) > 0 && (*left)[0].Row < n {
		*left = (*left)[1:]
	}
	if len(*left) > 0 && (*left)[0].Row == n {
		x := (*left)[0]
		*left = (*left)[1:]
		return Row{Row: n, Record: campaign.Record{Status: campaign.Skipped, Reason: x.Reason, Code: x.Code}}, nil
	}
	row, ok, err := found.find(ctx, n)
	if err != nil || ok {
		return row, err
	}
	return skipIfStopped(Row{Row: n}, found.reading.stopped), nil
}

func skipIfStopped(r Row, stopped string) Row {
	if stopped != "" && r.Status == campaign.Pending {
		r.Status, r.Reason = campaign.Skipped, stopped
	}
	return r
}

// source yields the rows of one stream, batch by batch. The rows of each batch are sorted.
type source struct {
	next func() ([]Row, error, bool)
	rows []Row
	// The map "early" holds rows of batches that were read ahead. It is nil if the batches come in the
	// order of their rows. The field "last" is the number of the highest row read so far.
	early map[int]Row
	last  int
}

func (s *source) nextRow(n int) (Row, bool, error) {
	if s.early != nil {
		return s.nextEarlyRow(n)
	}
	for {
		for len(s.rows) > 0 && s.rows[0].Row < n {
			s.rows = s.rows[1:]
		}
		if len(s.rows) > 0 {
			if s.rows[0].Row > n {
				return Row{}, false, nil
			}
			r := s.rows[0]
			s.rows = s.rows[1:]
			return r, true, nil
		}
		rows, err, ok := s.next()
		if err != nil || !ok {
			return Row{}, false, err
		}
		s.rows = rows
	}
}

// nextEarlyRow does what nextRow does, but a batch may hold rows that come before the rows of
// earlier batches.
func (s *source) nextEarlyRow(n int) (Row, bool, error) {
	for s.next != nil && s.last < n+campaign.CarryRows+campaign.MaxPageRows {
		rows, err, ok := s.next()
		if err != nil {
			return Row{}, false, err
		}
		if !ok {
			s.next = nil
		}
		for _, r := range rows {
			s.last = max(s.last, r.Row)
			if r.Row >= n {
				s.early[r.Row] = r
			}
		}
	}
	r, ok := s.early[n]
	delete(s.early, n)
	return r, ok, nil
}

// batchRows yields the rows of a stream's batches, one batch at a time.
func (l recordReader) batchRows(ctx context.Context, id string, stream int, r *rowReading) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		for b, err := range l.batches(ctx, id, stream, r.personalized) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !slices.ContainsFunc(b.To, func(p campaign.Planned) bool { return p.Row > r.after }) {
				continue
			}
			rows, err := l.sortedRows(ctx, id, b, r)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(rows, nil) {
				return
			}
		}
	}
}

// rowReading holds what is needed to read the rows of any batch of a campaign.
type rowReading struct {
	snapshot     campaign.PlanSnapshot
	segments     int // segments of a message of a plain campaign
	stopped      string
	after        int // the caller wants only rows above this number
	personalized bool
	reported     bool // some recipients have a final delivery report
}

// rowsAt reads the rows of a batch, including recipients that have moved to other batches.
func (l recordReader) rowsAt(ctx context.Context, id string, b *Batch, r *rowReading) ([]Row, error) {
	rows, err := l.rowsOf(ctx, id, b, r.segments, r.stopped)
	if err != nil {
		return nil, fmt.Errorf("read batch %s: %w", b.Name, err)
	}
	stream, err := r.snapshot.StreamOf(b.Name)
	if err != nil {
		return nil, fmt.Errorf("read results of %s: %w", id, err)
	}
	for i := range rows {
		if rows[i].Status != campaign.Skipped || rows[i].Reason != campaign.ReasonOptedOut { // a recipient that opted out after planning belongs to no account, like a recipient that planning skipped
			rows[i].Account = stream.Account.Name
		}
	}
	if r.reported {
		if err := l.applyOverlay(ctx, id, rows); err != nil {
			return nil, err
		}
	}
	return rows, l.replaceMoved(ctx, id, b, rows, r)
}

func (l recordReader) rowsOf(ctx context.Context, id string, b *Batch, segments int, stopped string) ([]Row, error) {
	fields := make([]string, len(b.Calls))
	for k := range b.Calls {
		fields[k] = callResultField(b.Name, k)
	}
	got, err := l.fields(ctx, id, fields...)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, 0, len(b.To))
	names := generationNames{batch: b.Name, index: map[[2]int]int{}}
	in, before := make([]int, 0, len(b.To)), make([]int, 0, len(b.To))
	parts := make([]int, 0, len(b.To))
	for k, n := range b.Calls {
		each := b.segments(k, segments)
		records, err := callRecords(got[k], n)
		if err != nil {
			return nil, unreadable(id, fields[k], script.Text(got[k]), err)
		}
		for i, to := range b.call(k) {
			r := records[i]
			rows = append(rows, Row{Row: to.Row, MSISDN: to.MSISDN, Record: r})
			in, parts = append(in, names.find(k, r.Generation)), append(parts, each)
			if r.Before != nil {
				before = append(before, names.find(k, r.Before.Generation))
			} else {
				before = append(before, in[len(in)-1])
			}
		}
	}
	submissions, err := l.submissions(ctx, id, names.list)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Status == campaign.Skipped && !rows[i].Moved {
			continue // the recipient was skipped before any submission, so no submission belongs to it
		}
		s := submissions[in[i]]
		if stopped != "" && !s.inFlight && rows[i].Status == campaign.Pending && rows[i].Before != nil {
			// The campaign was stopped before the retry was claimed, so the recipient is still
			// unknown.
			s, rows[i].Record = submissions[before[i]], *rows[i].Before
		}
		if s.uuid != "" {
			rows[i].MessageUUID, rows[i].UpdatedAt, rows[i].Segments = s.uuid, s.at, parts[i]
		}
		if !s.inFlight {
			rows[i] = skipIfStopped(rows[i], stopped)
		}
	}
	return rows, nil
}

// generationNames are the fields of the generations of a batch, without repeats.
type generationNames struct {
	batch string
	list  []string
	index map[[2]int]int // maps {call, generation} to the index in the slice "list"
}

// find returns the index of the field of a generation in the list, and adds the field if it is
// missing.
func (n *generationNames) find(call, generation int) int {
	key := [2]int{call, generation}
	i, ok := n.index[key]
	if !ok {
		i = len(n.list)
		n.index[key] = i
		n.list = append(n.list, generationField(n.batch, generationName(call, generation)))
	}
	return i
}

// The method "submissions" reads the submissions of generations by the names of their fields. A generation
// without a record has the zero submission.
func (l recordReader) submissions(ctx context.Context, id string, names []string) ([]submission, error) {
	got, err := l.fields(ctx, id, names...)
	if err != nil {
		return nil, err
	}
	submissions := make([]submission, len(names))
	for i := range names {
		if got[i] == nil {
			continue
		}
		if submissions[i], err = parseSubmission(script.Text(got[i])); err != nil {
			return nil, unreadable(id, names[i], script.Text(got[i]), err)
		}
	}
	return submissions, nil
}

// submission is the part of a generation's record that a result needs.
type submission struct {
	uuid     string
	at       time.Time
	inFlight bool
}

func parseSubmission(record string) (submission, error) {
	var s submission
	open, settled, err := parseGeneration(record)
	if err != nil {
		return s, err
	}
	short, at := open.UUID, open.Claimed
	if settled != nil {
		if short, at = settled.UUID, settled.At; at == "" {
			return s, campaign.ErrRecord
		}
	} else {
		s.inFlight = open.State != stateReady
	}
	if short == noWord {
		return s, nil
	}
	u, err := longUUID(short)
	if err != nil {
		return s, err
	}
	s.uuid, s.at = u.String(), script.Milli(at)
	return s, nil
}
