package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Work is a batch with its open generations.
type Work struct {
	Batch *Batch
	Wake  int
	// Upload is the token of the campaign's upload. Campaigns that used the same ID one after the
	// other have different tokens.
	Upload string
	// Stopped is true if the campaign was cancelled or has expired. Then no ready generation may be
	// submitted.
	Stopped bool
	Open    []*Generation
	// Bad has the unreadable records. A generation that needs one of these records is not in Open.
	Bad  []*Unreadable
	from []string
	// The field "names" has the names of the generations that may be open.
	names []string
}

// LoadWork reads a batch and its open generations. If the batch does not exist, LoadWork returns
// ErrNotFound. If none of the generations can be processed, it returns an Unreadable. The scripts can
// read every record that they need for the generations in Open.
func (l *Ledger) LoadWork(ctx context.Context, id, batch string) (*Work, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), workFields(batch)...).Result()
	if err != nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, err)
	}
	w, err := newWork(id, batch, got)
	if err != nil {
		return nil, err
	}
	if got, err = l.rdb.HMGet(ctx, ledgerKey(id), w.generationFields()...).Result(); err != nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, err)
	}
	touched := w.readGenerations(id, got)
	return w, l.records.checkResults(ctx, id, w, touched)
}

// worksAtOnce is the maximum number of batches that loadWorks reads in one round trip.
const worksAtOnce = 32

// loadWorks reads batches and their open generations in few round trips. It leaves out a name that is
// not the name of a batch, and a batch that does not exist any more or cannot be read. Unlike LoadWork,
// loadWorks does not check the recipients' results.
func (l recordReader) loadWorks(ctx context.Context, id string, names []string) (out []*Work, err error) {
	for names := range slices.Chunk(names, worksAtOnce) {
		heads, err := fieldsOfEach(ctx, l.rdb, id, names, workFields)
		if err != nil {
			return nil, err
		}
		var works []*Work
		for i, head := range heads {
			w, err := newWork(id, names[i], head)
			if err == nil {
				works = append(works, w)
			} else if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNewer) && AsUnreadable(err) == nil {
				return nil, err
			}
		}
		generations, err := fieldsOfEach(ctx, l.rdb, id, works, (*Work).generationFields)
		if err != nil {
			return nil, err
		}
		for i, w := range works {
			w.readGenerations(id, generations[i])
		}
		out = append(out, works...)
	}
	return out, nil
}

// fieldsOfEach reads fields of a campaign for each of the items in one round trip.
func fieldsOfEach[T any](ctx context.Context, rdb redis.UniversalClient, id string, items []T, fieldsOf func(T) []string) ([][]any, error) {
	answers := make([]*redis.SliceCmd, len(items))
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, item := range items {
			answers[i] = p.HMGet(ctx, ledgerKey(id), fieldsOf(item)...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load %d batches of %s: %w", len(items), id, err)
	}
	out := make([][]any, len(items))
	for i, a := range answers {
		out[i] = a.Val()
	}
	return out, nil
}

// workFields returns the fields from which newWork makes a Work.
func workFields(batch string) []string {
	return []string{batchField(batch), wakeField(batch), openListField(batch), fieldFormat, openCountField(batch),
		fieldStop, movedFromField(batch), bodiesField(batch), fieldUpload}
}

// newWork returns a batch without its generations. The parameter "got" has the values of workFields.
func newWork(id, batch string, got []any) (w *Work, err error) {
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
	w = &Work{Wake: script.Int(got[1]), Upload: script.Text(got[8]), Stopped: got[5] != nil, from: strings.Fields(script.Text(got[6]))}
	if w.Batch, err = readBatch(id, batch, got[0], got[7]); err != nil {
		return nil, err
	}
	w.names = make([]string, 0, len(w.Batch.Calls)+4)
	for k := range w.Batch.Calls {
		w.names = append(w.names, generationName(k, 0))
	}
	for _, n := range strings.Fields(script.Text(got[2])) {
		if _, _, err := w.parseName(n); err != nil {
			return nil, unreadable(id, openListField(batch), script.Text(got[2]), err)
		}
		w.names = append(w.names, n)
	}
	return w, nil
}

// generationFields returns two fields of each generation that may be open: its record and its
// positions.
func (w *Work) generationFields() []string {
	fields := make([]string, 0, 2*len(w.names))
	for _, n := range w.names {
		fields = append(fields, generationField(w.Batch.Name, n), positionsField(w.Batch.Name, n))
	}
	return fields
}

// readGenerations adds the open generations to w. The parameter "got" has the values of
// generationFields. readGenerations returns the calls that may have results in Redis.
func (w *Work) readGenerations(id string, got []any) (touched []int) {
	for i, n := range w.names {
		g, bad, err := w.generation(n, got[2*i], got[2*i+1])
		if err != nil {
			field := []string{generationField(w.Batch.Name, n), positionsField(w.Batch.Name, n)}[bad]
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
	return touched
}

// checkResults reads the results of the calls. If the results of a call cannot be read, it removes
// the call's generations from w.Open, because a settle could not write their outcomes.
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

// generation decodes the record and the positions of one generation. If the generation is settled, g
// is nil. If err is not nil, the result "bad" is 0 if the record cannot be read, and 1 if the positions
// cannot be read.
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
