package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// BatchName names a batch within its campaign: account number and position.
func BatchName(account, seq int) string { return strconv.Itoa(account) + "." + strconv.Itoa(seq) }

// BatchAccount is the account number in a batch's name.
func BatchAccount(batch string) (int, error) {
	a, s, ok := strings.Cut(batch, ".")
	n, err := strconv.Atoi(a)
	if _, err2 := strconv.Atoi(s); !ok || err != nil || err2 != nil || n < 0 {
		return 0, fmt.Errorf("batch name %.20q: %w", batch, errRecord)
	}
	return n, nil
}

// Batch is a batch as planned, which never changes.
type Batch struct {
	Name  string
	Calls []int // recipients of each call
	To    []Planned
}

// call returns the recipients of the k-th call.
func (b *Batch) call(k int) []Planned {
	at := 0
	for i := range k {
		at += b.Calls[i]
	}
	return b.To[at : at+b.Calls[k]]
}

func (l *Ledger) batches(ctx context.Context, id string, account int) iter.Seq2[*Batch, error] {
	const step = 8
	return func(yield func(*Batch, error) bool) {
		n, err := l.rdb.HMGet(ctx, ledgerKey(id), "nb:"+strconv.Itoa(account)).Result()
		if err != nil {
			yield(nil, fmt.Errorf("read batches of %s: %w", id, err))
			return
		}
		for at, end := 0, fieldInt(n[0]); at < end; at += step {
			var fields []string
			for s := at; s < min(at+step, end); s++ {
				fields = append(fields, "b"+BatchName(account, s))
			}
			got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
			if err != nil {
				yield(nil, fmt.Errorf("read batches of %s: %w", id, err))
				return
			}
			for i, v := range got {
				b := &Batch{Name: fields[i][1:]}
				if b.Calls, b.To, err = decodeBatch([]byte(fieldString(v))); err != nil {
					yield(nil, fmt.Errorf("campaign %s batch %s: %w", id, b.Name, err))
					return
				}
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// Generation is an open part of a call: recipients that go out together under
// one message_uuid.
type Generation struct {
	Call, Number int
	// Revision changes whenever the next submission must be another request.
	Revision string
	// To are its recipients, positions their places in the call.
	To []Planned
	// CallSize is how many recipients the whole call has.
	CallSize int
	// Due is when it may go at the earliest.
	Due time.Time
	// Doubtful: an earlier submission may have been taken.
	Doubtful  bool
	positions string // packed; empty: all of the call
}

// Work is a batch with what is open in it.
type Work struct {
	Batch *Batch
	Wake  int
	Open  []*Generation
}

// LoadWork reads a batch and its open generations. ErrNotFound: no such batch.
func (l *Ledger) LoadWork(ctx context.Context, id, batch string) (*Work, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), "b"+batch, "w"+batch, "x"+batch, "v").Result()
	if err != nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, err)
	}
	if got[0] == nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, ErrNotFound)
	}
	if fieldInt(got[3]) > 1 {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, ErrNewer)
	}
	w := &Work{Batch: &Batch{Name: batch}, Wake: fieldInt(got[1])}
	if w.Batch.Calls, w.Batch.To, err = decodeBatch([]byte(fieldString(got[0]))); err != nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, err)
	}
	names := make([]string, 0, len(w.Batch.Calls)+4)
	for k := range w.Batch.Calls {
		names = append(names, strconv.Itoa(k)+".0")
	}
	names = append(names, strings.Fields(fieldString(got[2]))...)
	fields := make([]string, 0, 2*len(names))
	for _, n := range names {
		fields = append(fields, "g"+batch+"."+n, "i"+batch+"."+n)
	}
	if got, err = l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result(); err != nil {
		return nil, fmt.Errorf("load batch %s of %s: %w", batch, id, err)
	}
	for i, n := range names {
		g, err := w.generation(n, fieldString(got[2*i]), fieldString(got[2*i+1]))
		if err != nil {
			return nil, fmt.Errorf("load generation %s of %s %s: %w", n, id, batch, err)
		}
		if g != nil {
			w.Open = append(w.Open, g)
		}
	}
	return w, nil
}

// generation reads one record; nil if it is settled.
func (w *Work) generation(name, record, positions string) (*Generation, error) {
	ks, gs, _ := strings.Cut(name, ".")
	k, err1 := strconv.Atoi(ks)
	n, err2 := strconv.Atoi(gs)
	if err1 != nil || err2 != nil || k < 0 || k >= len(w.Batch.Calls) || len(positions)%2 != 0 {
		return nil, errRecord
	}
	g := &Generation{Call: k, Number: n, Revision: "0", positions: positions, CallSize: w.Batch.Calls[k], To: w.Batch.call(k)}
	if record != "" {
		f := strings.Fields(record)
		if len(f) > 0 && f[0] == "t" {
			return nil, nil
		}
		if len(f) < 14 {
			return nil, errRecord
		}
		g.Revision = f[8]
		g.Due, g.Doubtful = parseMilli(f[11]), f[0] == "d"
	} else if n > 0 {
		return nil, nil
	}
	if positions != "" {
		all := g.To
		g.To = make([]Planned, 0, len(positions)/2)
		for i := 0; i < len(positions); i += 2 {
			p := int(binary.BigEndian.Uint16([]byte(positions[i : i+2])))
			if p >= len(all) {
				return nil, errRecord
			}
			g.To = append(g.To, all[p])
		}
	}
	return g, nil
}
