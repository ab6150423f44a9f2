package tracking

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/script"
)

// A worker does not enter the IDs of each call in the index at once. First it notes the IDs in Redis,
// which takes one command a call. Later it enters the IDs of many calls together. If one
// command enters several IDs of a bucket, each ID takes Redis several times less work. If a worker
// dies, "tuma serve" enters the worker's notes (EnterLeft).

const (
	// enterAfter is how long a goroutine waits after the first note before it enters the noted IDs in the
	// index. If more than fewWaiting IDs are noted by then, it waits for more IDs. enterWithin is the maximum
	// wait after the first note.
	enterAfter  = 200 * time.Millisecond
	enterWithin = time.Second
	fewWaiting  = 2_000
	// When enterFrom IDs are noted, the goroutine enters these IDs at once and does not wait for more IDs.
	enterFrom = 200_000
	// maxWaiting is the number of IDs that a process keeps in memory for Enter. The notes of
	// further calls are only in Redis.
	maxWaiting = 1_000_000
	// leftFor is the age from which a note counts as left behind by its worker. enterLeftAtOnce
	// is the approximate number of notes that EnterLeft reads at once.
	leftFor         = 10 * time.Second
	enterLeftAtOnce = 100
	// enterTimeout is the time limit of one call of Index.Enter. enterRetry is the time from a failed
	// call to the next call.
	enterTimeout = time.Minute
	enterRetry   = time.Second
)

// waiting has the noted calls of a process whose IDs are not in the index yet. It is safe for concurrent
// use.
type waiting struct {
	mu    sync.Mutex
	notes []note
	ids   []string // the message IDs of the calls
	count int      // IDs in notes
	busy  bool     // a goroutine is entering the notes
	// If closed is true, the goroutine that enters the calls ends at its next failure.
	closed bool
	full   chan struct{}
	// A caller holds the lock "entering" while it enters the calls that it took.
	entering sync.Mutex
}

// The method "add" adds a noted call. The result "first" is true if the caller must start the
// goroutine that enters the call.
func (w *waiting) add(n note, ids []string) (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count > maxWaiting {
		return false
	}
	w.notes, w.ids = append(w.notes, n), append(w.ids, ids...)
	w.count += len(n.entries) / entrySize
	if w.full == nil {
		w.full = make(chan struct{}, 1)
	}
	if w.count >= enterFrom {
		select {
		case w.full <- struct{}{}:
		default:
		}
	}
	first, w.busy = !w.busy, true
	return first
}

// The method "take" returns all calls and removes them. If no calls are left and "end" is true, it
// records that the calling goroutine ends.
func (w *waiting) take(end bool) (notes []note, ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notes, ids = w.notes, w.ids
	w.notes, w.ids, w.count = nil, nil, 0
	if len(notes) == 0 && end {
		w.busy = false
	}
	return notes, ids
}

// Note notes the IDs of accepted messages. The worker calls Note before it settles the call. The IDs
// are entered in the index soon afterwards. total is the number of the campaign's recipients. If Redis
// refuses the note, Note logs this and returns nil, because the outcome of the call must still be
// settled. If Redis is away, Note returns an error, and the worker tries again.
func (t *Tracker) Note(ctx context.Context, c *ledger.Claim, records []campaign.Record, total int) error {
	at := c.Places()
	s := Sent{BatchRef: at.BatchRef, BatchSize: at.BatchSize, Total: total}
	for i, r := range records {
		if r.Status == campaign.Accepted && r.MessageID != "" && i < len(at.Positions) {
			s.IDs, s.Positions = append(s.IDs, r.MessageID), append(s.Positions, at.Positions[i])
		}
	}
	if len(s.IDs) == 0 {
		return nil
	}
	n := noteOf(s)
	n.token = script.NewToken()
	parked, err := t.index.Note(ctx, t.login, n, t.life)
	var refused redis.Error
	if err != nil && (!errors.As(err, &refused) || outage.Away(err)) {
		return err
	}
	if err != nil {
		t.log.Warn().Err(err).Str("campaign", s.Campaign).Str("batch", s.Name).Msg("could not note message ids; if this worker is killed now, delivery reports about these messages will not be matched")
	} else {
		t.parkedSeen.Store(parked)
	}
	if t.waiting.add(n, s.IDs) {
		go t.enterWaiting() //nolint:gosec // it enters the IDs of many calls, so it outlives the context of this one
	}
	return nil
}

// enterWaiting enters noted calls in the index until no call is left.
func (t *Tracker) enterWaiting() {
	timer := time.NewTimer(enterAfter)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if t.waiting.many() {
				select {
				case <-time.After(enterWithin - enterAfter):
				case <-t.waiting.full:
				}
			}
		case <-t.waiting.full:
		}
		ctx, cancel := context.WithTimeout(context.Background(), enterTimeout)
		more, err := t.enter(ctx, true)
		cancel()
		if !more {
			return
		}
		timer.Reset(enterAfter)
		if err != nil {
			if t.waiting.isClosed() {
				return
			}
			t.log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err).Msg("could not add message ids to the index; the process tries again")
			timer.Reset(enterRetry)
		}
	}
}

// The method "many" reports whether the goroutine should wait for more IDs before it enters the
// waiting IDs. The more IDs it enters at once, the fewer commands each ID takes.
func (w *waiting) many() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count > fewWaiting && !w.closed
}

func (w *waiting) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// Close enters the noted calls in the index, as Flush does. A worker calls Close before it exits.
func (t *Tracker) Close(ctx context.Context) error {
	t.waiting.mu.Lock()
	t.waiting.closed = true
	t.waiting.mu.Unlock()
	return t.Flush(ctx)
}

// Flush enters the noted calls of this process in the index. After an error the process tries again
// later, or tuma serve enters the calls (EnterLeft).
func (t *Tracker) Flush(ctx context.Context) error {
	_, err := t.enter(ctx, false)
	return err
}

// The method "enter" enters the noted calls of this process in the index. Then it applies parked
// reports about these calls. The result "more" is false if no calls were noted. After an error the
// calls wait again.
func (t *Tracker) enter(ctx context.Context, end bool) (more bool, err error) {
	t.waiting.entering.Lock()
	defer t.waiting.entering.Unlock()
	notes, ids := t.waiting.take(end)
	if len(notes) == 0 {
		return false, nil
	}
	if err := t.index.Enter(ctx, t.login, notes, t.life); err != nil {
		t.waiting.mu.Lock()
		defer t.waiting.mu.Unlock()
		if t.waiting.count <= maxWaiting {
			t.waiting.notes, t.waiting.ids = append(t.waiting.notes, notes...), append(t.waiting.ids, ids...)
			for _, n := range notes {
				t.waiting.count += len(n.entries) / entrySize
			}
		}
		return true, err
	}
	n, err := t.rdb.Exists(ctx, parkedKey(t.login)).Result()
	if err == nil && n > 0 {
		t.applyParked(ctx, ids)
	}
	return true, nil // if Redis cannot be read here, LookAgain applies the parked reports later
}

// EnterLeft enters the calls of this login that dead workers have noted. It returns how many calls it
// has entered. The caller may repeat EnterLeft, and several processes may run it at once.
func (t *Tracker) EnterLeft(ctx context.Context) (int, error) {
	now, err := t.scripts.Now(ctx)
	if err != nil {
		return 0, fmt.Errorf("add message ids of dead workers to the index: %w", err)
	}
	done, cursor := 0, uint64(0)
	for {
		list, next, err := t.rdb.HScan(ctx, notedKey(t.login), cursor, "", enterLeftAtOnce).Result()
		if err != nil {
			return done, fmt.Errorf("add message ids of dead workers to the index: %w", err)
		}
		var notes []note
		var unreadable []string
		for i := 0; i+1 < len(list); i += 2 {
			n, at, ok := parseNote(list[i], list[i+1])
			switch {
			case !ok:
				unreadable = append(unreadable, list[i])
			case now.Sub(at) >= leftFor:
				notes = append(notes, n)
			}
		}
		if len(unreadable) > 0 {
			if err := t.rdb.HDel(ctx, notedKey(t.login), unreadable...).Err(); err != nil {
				return done, fmt.Errorf("add message ids of dead workers to the index: %w", err)
			}
		}
		if err := t.index.Enter(ctx, t.login, notes, t.life); err != nil {
			return done, err
		}
		done += len(notes)
		if cursor = next; cursor == 0 {
			return done, nil
		}
	}
}
