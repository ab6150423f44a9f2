package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Batch is a planned batch. It never changes.
type Batch struct {
	Name  string
	Calls []int // number of recipients of each call
	To    []campaign.Planned
	// Bodies are the message bodies, one for each call; nil in a plain campaign.
	Bodies []string
}

// readBatch decodes the record of a batch and, in a campaign with merge fields, the record of its
// bodies. It returns an Unreadable if one of the two records cannot be read, and ErrNewer if a
// newer release wrote it.
func readBatch(id, name string, record, bodies any) (*Batch, error) {
	b, raw := &Batch{Name: name}, script.Text(record)
	var err error
	if b.Calls, b.To, err = decodeBatch([]byte(raw)); err != nil {
		return nil, unreadable(id, batchField(name), raw, err)
	}
	if raw[0] == formatOwn {
		if b.Bodies, err = decodeBodies([]byte(script.Text(bodies)), len(b.Calls)); err != nil {
			return nil, unreadable(id, bodiesField(name), script.Text(bodies), err)
		}
	}
	return b, nil
}

// body returns the body of call k; empty in a plain campaign, whose calls all send the campaign's
// body.
func (b *Batch) body(k int) string {
	if b.Bodies == nil {
		return ""
	}
	return b.Bodies[k]
}

// segments returns the number of segments of one message of call k. plain is the number that it
// returns for a plain campaign.
func (b *Batch) segments(k, plain int) int {
	if b.Bodies == nil {
		return plain
	}
	n, _ := sms.Segments(b.Bodies[k])
	return n
}

// call returns the recipients of call k.
func (b *Batch) call(k int) []campaign.Planned {
	at := 0
	for i := range k {
		at += b.Calls[i]
	}
	return b.To[at : at+b.Calls[k]]
}

// batches yields the planned batches of a stream in order. bodies reports whether the caller needs
// the bodies of a campaign with merge fields.
func (l recordReader) batches(ctx context.Context, id string, stream int, bodies bool) iter.Seq2[*Batch, error] {
	const step = 8
	return func(yield func(*Batch, error) bool) {
		n, err := l.rdb.HMGet(ctx, ledgerKey(id), plannedField(stream)).Result()
		if err != nil {
			yield(nil, fmt.Errorf("read batches of %s: %w", id, err))
			return
		}
		for at, end := 0, script.Int(n[0]); at < end; at += step {
			var names, fields []string
			for s := at; s < min(at+step, end); s++ {
				names = append(names, campaign.BatchName(stream, s))
				fields = append(fields, batchField(names[len(names)-1]))
			}
			if bodies {
				for _, name := range names {
					fields = append(fields, bodiesField(name))
				}
			}
			got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
			if err != nil {
				yield(nil, fmt.Errorf("read batches of %s: %w", id, err))
				return
			}
			for i, v := range got[:len(names)] {
				var b *Batch
				if bodies {
					b, err = readBatch(id, names[i], v, got[len(names)+i])
				} else {
					b = &Batch{Name: names[i]}
					b.Calls, b.To, err = decodeBatch([]byte(script.Text(v)))
					err = unreadable(id, fields[i], script.Text(v), err)
				}
				if err != nil {
					yield(nil, err)
					return
				}
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// Generation is one attempt set of a call: recipients that are submitted together under one
// idempotency key. A call starts with generation 0. Recipients that must be submitted again form
// later generations.
type Generation struct {
	Call, Number int
	// Revision changes whenever the next submission must be a different request, with another
	// idempotency key.
	Revision string
	// To are the generation's recipients. positions holds their positions in the call.
	To []campaign.Planned
	// Body is the text of the recipients' message; empty in a plain campaign.
	Body string
	// CallSize is how many recipients the whole call has.
	CallSize int
	// Due is the earliest time of the next claim; zero: now.
	Due time.Time
	// Doubtful: an earlier submission may have reached the gateway.
	Doubtful bool
	// Ready: certainly no submission has reached the gateway, and no claim is held.
	Ready     bool
	positions string // two bytes each; empty: all positions of the call
	// first is the position of the call in its batch, batchSize the number of the batch's recipients.
	first, batchSize int
	upload           string // token of the campaign's upload
	claimed          bool
	token            string // token of its last claim
	// from are the batches that the recipients were in before they moved to this one, the most
	// recent first.
	from []string
}

// Work is a batch with its open generations.
type Work struct {
	Batch *Batch
	Wake  int
	// Upload is the token of the campaign's upload. It differs between campaigns that had one ID in
	// turn.
	Upload string
	// Stopped: the campaign was cancelled or has expired. Ready generations must not be submitted.
	Stopped bool
	Open    []*Generation
	// Bad are unreadable records. The generations that need one of these records are not in Open.
	Bad  []*Unreadable
	from []string
}

// LoadWork reads a batch and its open generations. It returns ErrNotFound if there is no such
// batch, and an Unreadable if none of its generations can be processed. Every record that the
// scripts need for the generations in Open can be read.
func (l *Ledger) LoadWork(ctx context.Context, id, batch string) (*Work, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), batchField(batch), wakeField(batch), openListField(batch), fieldFormat, openCountField(batch),
		fieldStop, movedFromField(batch), bodiesField(batch), fieldUpload).Result()
	if err != nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, err)
	}
	if got[0] == nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, ErrNotFound)
	}
	if script.Int(got[3]) > 1 {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, ErrNewer)
	}
	for i, f := range map[int]string{1: wakeField(batch), 4: openCountField(batch)} {
		if _, err := strconv.Atoi(script.Text(got[i])); err != nil && got[i] != nil {
			return nil, unreadable(id, f, script.Text(got[i]), campaign.ErrRecord)
		}
	}
	w := &Work{Wake: script.Int(got[1]), Upload: script.Text(got[8]), Stopped: got[5] != nil, from: strings.Fields(script.Text(got[6]))}
	if w.Batch, err = readBatch(id, batch, got[0], got[7]); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(w.Batch.Calls)+4)
	for k := range w.Batch.Calls {
		names = append(names, generationName(k, 0))
	}
	for _, n := range strings.Fields(script.Text(got[2])) {
		if _, _, err := w.parseName(n); err != nil {
			return nil, unreadable(id, openListField(batch), script.Text(got[2]), err)
		}
		names = append(names, n)
	}
	fields := make([]string, 0, 2*len(names))
	for _, n := range names {
		fields = append(fields, generationField(batch, n), positionsField(batch, n))
	}
	if got, err = l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result(); err != nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, err)
	}
	var touched []int // the calls that may have results in Redis
	for i, n := range names {
		g, bad, err := w.generation(n, got[2*i], got[2*i+1])
		if err != nil {
			field := fields[2*i+bad]
			w.Bad = append(w.Bad, &Unreadable{Campaign: id, Record: field, Bytes: []byte(script.Text(got[2*i+bad])), Err: err})
			continue
		}
		if g != nil {
			w.Open = append(w.Open, g)
			if got[2*i] != nil {
				touched = append(touched, g.Call)
			}
		}
	}
	return w, l.records.checkResults(ctx, id, w, touched)
}

// checkResults reads the results of the calls. If those of a call cannot be read, it removes the
// call's generations from w.Open, because their outcomes could not be written.
func (l recordReader) checkResults(ctx context.Context, id string, w *Work, calls []int) error {
	if len(calls) == 0 {
		return nil
	}
	slices.Sort(calls)
	calls = slices.Compact(calls)
	fields := make([]string, len(calls))
	for i, k := range calls {
		fields[i] = callResultField(w.Batch.Name, k)
	}
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
	if err != nil {
		return fmt.Errorf("load batch %s of %s: %w", w.Batch.Name, id, err)
	}
	for i, k := range calls {
		if _, err := callRecords(got[i], w.Batch.Calls[k]); err != nil {
			w.Bad = append(w.Bad, &Unreadable{Campaign: id, Record: fields[i], Bytes: []byte(script.Text(got[i])), Err: err})
			w.Open = slices.DeleteFunc(w.Open, func(g *Generation) bool { return g.Call == k })
		}
	}
	return nil
}

// parseName splits a generation's name into its call and its number.
func (w *Work) parseName(name string) (call, number int, err error) {
	ks, gs, _ := strings.Cut(name, ".")
	k, err1 := strconv.Atoi(ks)
	n, err2 := strconv.Atoi(gs)
	if err1 != nil || err2 != nil || k < 0 || n < 0 || k >= len(w.Batch.Calls) {
		return 0, 0, campaign.ErrRecord
	}
	return k, n, nil
}

// generation decodes the record and the positions of one generation. It returns nil if the
// generation is settled. With an error, bad tells which of the two cannot be read: 0 the record, 1
// the positions.
func (w *Work) generation(name string, record, positions any) (g *Generation, bad int, err error) {
	k, n, err := w.parseName(name)
	if err != nil {
		return nil, 0, err
	}
	g = &Generation{Call: k, Number: n, Revision: "0", positions: script.Text(positions), CallSize: w.Batch.Calls[k], To: w.Batch.call(k), Body: w.Batch.body(k), Ready: true, from: w.from, upload: w.Upload, batchSize: len(w.Batch.To)}
	for _, calls := range w.Batch.Calls[:k] {
		g.first += calls
	}
	size := g.CallSize
	if record != nil {
		r, settled, err := parseGeneration(script.Text(record))
		if err != nil {
			return nil, 0, err
		}
		if settled != nil {
			return nil, 0, nil
		}
		g.Revision, g.token = r.Rev, r.Token
		g.Due, g.Doubtful, g.Ready, g.claimed = script.Milli(r.Due), r.State == stateDoubtful, r.State == stateReady, r.State == stateClaimed
		if size, err = strconv.Atoi(r.Size); err != nil {
			return nil, 0, campaign.ErrRecord
		}
	} else if n > 0 {
		return nil, 0, nil
	}
	if positions != nil {
		all := g.To
		g.To = make([]campaign.Planned, 0, len(g.positions)/2)
		for i := 0; i+1 < len(g.positions); i += 2 {
			p := int(binary.BigEndian.Uint16([]byte(g.positions[i : i+2])))
			if p >= len(all) {
				return nil, 1, campaign.ErrRecord
			}
			g.To = append(g.To, all[p])
		}
	}
	if len(g.positions)%2 != 0 || len(g.To) != size {
		return nil, 1, campaign.ErrRecord
	}
	return g, 0, nil
}
