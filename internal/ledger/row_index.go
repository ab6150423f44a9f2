package ledger

import (
	"cmp"
	"context"
	"iter"
	"slices"
)

// rowIndex finds the results of recipients in batches, in the order of their rows. Usually the
// batches of a stream are nearly in that order too, and are read one after the other. If
// recipients moved to a stream while other recipients were still being planned, the batches are
// out of order. In that case the method "build" records for every row, in four bytes, which batch
// has the row.
type rowIndex struct {
	records recordReader
	id      string
	reading *rowReading
	total   int
	sources []*source

	names      []string // names of batches, once the index is built
	index      []uint32 // for each row, the position of its batch in names, from 1; 0 if the row is in no batch
	first      int      // the row of index[0]
	bad        error    // the error that stopped the building of the index
	cache      []*cachedBatch
	cachedRows int // number of rows in the cache
}

// cachedBatch is a batch that has been read. Its rows are sorted.
type cachedBatch struct {
	place uint32
	rows  []Row
}

// maxCachedRows bounds the rows of the cached batches.
const maxCachedRows = 50_000

func (l recordReader) newRowIndex(ctx context.Context, id string, total int, r *rowReading) (f *rowIndex, stop func()) {
	f = &rowIndex{records: l, id: id, reading: r, total: total}
	var stops []func()
	for n := range r.snapshot.Streams() {
		next, stop := iter.Pull2(l.batchRows(ctx, id, n, r))
		stops = append(stops, stop)
		s := &source{next: next}
		if r.personalized {
			s.early = map[int]Row{}
		}
		f.sources = append(f.sources, s)
	}
	return f, func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// find returns the result of row n. n must be at least as high as in all earlier calls of find.
// find returns false if the row is in no batch.
func (f *rowIndex) find(ctx context.Context, n int) (Row, bool, error) {
	if f.index == nil {
		for _, s := range f.sources {
			if row, ok, err := s.nextRow(n); err != nil || ok {
				return row, ok, err
			}
		}
		if err := f.build(ctx, n); err != nil {
			return Row{}, false, err
		}
	}
	if n-f.first >= len(f.index) || f.index[n-f.first] == 0 {
		return Row{}, false, f.bad
	}
	rows, err := f.batch(ctx, f.index[n-f.first])
	if err != nil {
		return Row{}, false, err
	}
	i, ok := slices.BinarySearchFunc(rows, n, func(r Row, n int) int { return cmp.Compare(r.Row, n) })
	if !ok {
		return Row{}, false, nil
	}
	return rows[i], true, nil
}

// The method "build" finds the batch of each row, from the row "from" on, and stores the batch in f.index.
func (f *rowIndex) build(ctx context.Context, from int) error {
	f.first, f.index = from, make([]uint32, max(0, f.total-from+1))
	for stream := range f.reading.snapshot.Streams() {
		for b, err := range f.records.batches(ctx, f.id, stream, false) {
			if AsUnreadable(err) != nil {
				f.bad = err
				break
			}
			if err != nil {
				return err
			}
			f.names = append(f.names, b.Name)
			for _, to := range b.To {
				if at := to.Row - from; at >= 0 && at < len(f.index) && f.index[at] == 0 {
					f.index[at] = uint32(len(f.names))
				}
			}
		}
	}
	return nil
}

// The method "batch" returns the rows of a batch. If the cache has the batch, Redis is not read.
func (f *rowIndex) batch(ctx context.Context, place uint32) ([]Row, error) {
	for i, c := range f.cache {
		if c.place == place {
			copy(f.cache[1:i+1], f.cache[:i]) // most recently used first
			f.cache[0] = c
			return c.rows, nil
		}
	}
	b, err := f.records.batch(ctx, f.id, f.names[place-1])
	if err != nil {
		return nil, err
	}
	rows, err := f.records.sortedRows(ctx, f.id, b, f.reading)
	if err != nil {
		return nil, err
	}
	f.cache = slices.Insert(f.cache, 0, &cachedBatch{place, rows})
	for f.cachedRows += len(rows); f.cachedRows > maxCachedRows && len(f.cache) > 1; {
		last := len(f.cache) - 1
		f.cachedRows -= len(f.cache[last].rows)
		f.cache = slices.Delete(f.cache, last, last+1)
	}
	return rows, nil
}

// sortedRows reads a batch's rows and sorts them.
func (l recordReader) sortedRows(ctx context.Context, id string, b *Batch, r *rowReading) ([]Row, error) {
	rows, err := l.rowsAt(ctx, id, b, r)
	slices.SortFunc(rows, func(x, y Row) int { return cmp.Compare(x.Row, y.Row) })
	return rows, err
}
