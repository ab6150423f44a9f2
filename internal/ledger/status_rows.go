package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// StatusRows reads the recipients that are named in events about statuses. It is safe for concurrent
// use.
type StatusRows struct {
	ledger *Ledger

	mu sync.Mutex
	// firstRows has, by campaign and upload, the row of the first recipient of each page. Pages never
	// change.
	firstRows map[string][]int
}

// maxFirstRows is the maximum number of campaigns in StatusRows.firstRows.
const maxFirstRows = 16

// NewStatusRows returns the StatusRows of a ledger.
func NewStatusRows(l *Ledger) *StatusRows {
	return &StatusRows{ledger: l, firstRows: map[string][]int{}}
}

// Read returns the recipients at the given places, with their present results, in the order of the
// upload. A place is a call, "batch.call", or one recipient of a call, "batch.call:position". Read
// ignores places of another form. The rows have no Input. Read returns ErrNotFound if the campaign does
// not exist.
func (x *StatusRows) Read(ctx context.Context, id string, places []string) ([]Row, error) {
	sum, err := x.ledger.Summary(ctx, id)
	if err != nil {
		return nil, err
	}
	snapshot, _, err := x.ledger.Snapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	reading := &rowReading{snapshot: snapshot, segments: sum.Spec.Segments(), stopped: sum.StoppedBy, personalized: sum.Spec.Personalized(), reported: sum.reported()}
	var rows []Row
	for name, wanted := range groupPlaces(places) {
		b, err := x.ledger.records.batch(ctx, id, name)
		if err != nil {
			return nil, err
		}
		all, err := x.ledger.records.rowsAt(ctx, id, b, reading)
		if err != nil {
			return nil, err
		}
		at := 0
		for k, n := range b.Calls {
			for i := range n {
				if positions, ok := wanted[k]; ok && (positions == nil || slices.Contains(positions, i)) {
					rows = append(rows, all[at+i])
				}
			}
			at += n
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return a.Row - b.Row })
	rows = slices.CompactFunc(rows, func(a, b Row) bool { return a.Row == b.Row })
	for i := range rows {
		rows[i].Ref = sum.Spec.Ref
	}
	if sum.Spec.Refs {
		err = x.setRefs(ctx, id, rows)
	}
	return rows, err
}

// groupPlaces returns the places by batch and call. A nil list of positions stands for all recipients
// of the call.
func groupPlaces(places []string) map[string]map[int][]int {
	out := map[string]map[int][]int{}
	for _, p := range places {
		name, at, one := strings.Cut(p, ":")
		dot := strings.LastIndexByte(name, '.')
		position, err := 0, error(nil)
		if one {
			position, err = strconv.Atoi(at)
		}
		call, err2 := strconv.Atoi(name[dot+1:])
		if dot < 0 || err != nil || err2 != nil {
			continue
		}
		calls := out[name[:dot]]
		if calls == nil {
			calls = map[int][]int{}
			out[name[:dot]] = calls
		}
		if positions, ok := calls[call]; !one || ok && positions == nil {
			calls[call] = nil
		} else {
			calls[call] = append(positions, position)
		}
	}
	return out
}

// setRefs sets the references of rows. The rows must be sorted.
func (x *StatusRows) setRefs(ctx context.Context, id string, rows []Row) error {
	first, err := x.pages(ctx, id)
	if err != nil {
		return err
	}
	refs := x.ledger.records.newRefReader(id)
	for i := range rows {
		page, ok := slices.BinarySearch(first, rows[i].Row)
		if !ok {
			page--
		}
		if page < 0 {
			continue
		}
		if rows[i].Ref, err = refs.ref(ctx, page, rows[i].Row-first[page]); err != nil {
			return err
		}
	}
	return nil
}

// The method "pages" returns the rows of the first recipient of each page of a campaign.
func (x *StatusRows) pages(ctx context.Context, id string) ([]int, error) {
	got, err := x.ledger.records.fields(ctx, id, fieldUpload, fieldPages)
	if err != nil {
		return nil, fmt.Errorf("read pages of %s: %w", id, err)
	}
	upload, _ := got[0].(string)
	text, _ := got[1].(string)
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("read pages of %s: %w", id, ErrNotFound)
	}
	key := id + " " + upload
	x.mu.Lock()
	first, known := x.firstRows[key]
	x.mu.Unlock()
	if known {
		return first, nil
	}
	for page, err := range x.ledger.ReadPages(ctx, id, 0, n, 1) {
		if err != nil {
			return nil, err
		}
		first = append(first, page.First)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.firstRows) >= maxFirstRows {
		clear(x.firstRows)
	}
	x.firstRows[key] = first
	return first, nil
}
