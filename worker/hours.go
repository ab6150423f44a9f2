package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// Hours are a part of each day, such as from 08:00 to 18:00.
type Hours struct {
	// From and To are times of day, since midnight. If To is not after From the hours go over
	// midnight.
	From, To time.Duration
}

// ParseHours reads Hours: "08:00-18:00"; "20:00-06:00" goes over midnight.
func ParseHours(s string) (Hours, error) {
	h, err := hours.Parse(s)
	return Hours(h), err
}

// String returns the hours as ParseHours reads them: "08:00-18:00".
func (h Hours) String() string { return hours.Hours(h).String() }

const (
	// openingSpread keeps batches that wait for the same hour from waking in the same instant.
	openingSpread = time.Second
	// openingSlack is how far back the spans begin that a claim is judged by: Redis' clock may
	// step back at a failover.
	openingSlack = time.Hour
	// spansAhead are the openings a claim is told of: the one that is on and the next ones,
	// for a pass over a batch can take longer than what is left of one.
	spansAhead = 3
)

// schedule is when a batch may go, for one pass over it.
type schedule struct {
	spans []ledger.Span
	now   time.Time // by Redis' clock
	at    time.Time // by ours, when that was read
}

// open is what a claim is judged by, in Redis.
func (c *schedule) open() []ledger.Span {
	if c == nil {
		return nil
	}
	return c.spans
}

// closed says, without asking anybody, whether a claim would be sent away. It only
// spares the account's rate a booking: the claim is what counts.
func (c *schedule) closed() bool {
	if c == nil {
		return false
	}
	now := c.now.Add(time.Since(c.at))
	return !slices.ContainsFunc(c.spans, func(s ledger.Span) bool { return !now.Before(s.From) && now.Before(s.Until) })
}

// next is a schedule by which nothing goes, and the claim says when the next opening is.
func (c *schedule) next() *schedule {
	now := c.now.Add(time.Since(c.at))
	at := now
	for _, s := range c.spans {
		if now.Before(s.From) {
			at = s.From
			break
		}
	}
	return &schedule{spans: []ledger.Span{{From: at, Until: at}}, now: c.now, at: c.at}
}

// readSchedule works out when the batch at hand may go; nil: at any time.
func (s *batchSender) readSchedule(ctx context.Context) (*schedule, error) {
	stream, err := s.camp.snapshot.StreamOf(s.batch)
	if err != nil || stream.SendingHours == (ledger.CountryHours{}) {
		return nil, err
	}
	w, err := s.hours.get(stream.SendingHours)
	if err != nil {
		return nil, fmt.Errorf("sending hours of %s: %w", s.id, err)
	}
	now, err := s.ledger.Now(ctx)
	if err != nil {
		return nil, err
	}
	c := &schedule{now: now, at: time.Now()}
	for _, x := range w.Spans(now.Add(-openingSlack), spansAhead) {
		c.spans = append(c.spans, ledger.Span(x))
	}
	return c, nil
}

// whileClosed asks for a generation that cannot go now, and so books nothing: for
// when it can, and because there may be an end to it meanwhile, such as that of a
// campaign that was stopped, or of doubt that no call can clear up.
func (s *batchSender) whileClosed(ctx context.Context, g *ledger.Generation) (step, time.Time, error) {
	was := s.schedule
	s.schedule = was.next()
	defer func() { s.schedule = was }()
	st, at, err := s.claimExpectingRefusal(ctx, g)
	if errors.Is(err, ledger.ErrNotDurable) {
		return stepLater, s.schedule.spans[0].From, nil // it was no leave to go
	}
	return st, at, err
}

// frozenWindows are the windows in force, for a campaign whose planning begins.
func (w *Worker) snapshotHours() (out []ledger.CountryHours) {
	for _, country := range slices.Sorted(maps.Keys(w.cfg.Windows)) {
		out = append(out, ledger.CountryHours{Country: country, Hours: w.cfg.Windows[country].String()})
	}
	return out
}

// checkWindows errs for windows that never open, and for more than a campaign can have lanes.
func (w *Worker) checkSendingHours() error {
	var mistakes []error
	for _, x := range w.snapshotHours() {
		if _, err := w.hours.get(x); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	accounts := map[string]bool{}
	for _, r := range w.cfg.Routes {
		for _, name := range r.Via {
			accounts[name] = true
		}
	}
	if n := max(1, len(accounts)) * (1 + len(w.cfg.Windows)); n > ledger.MaxStreams {
		mistakes = append(mistakes, fmt.Errorf("sending hours of %d countries for the %d accounts of the routes are too many", len(w.cfg.Windows), len(accounts)))
	}
	return errors.Join(mistakes...)
}

func hoursAsText(byCountry map[string]Hours) map[string]string {
	out := map[string]string{}
	for country, h := range byCountry {
		out[country] = h.String()
	}
	return out
}

// hoursCache keeps windows with their time zones, which take a while to read.
type hoursCache struct {
	mu sync.Mutex
	by map[ledger.CountryHours]*hours.Window
}

func (c *hoursCache) get(x ledger.CountryHours) (*hours.Window, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.by[x]; w != nil {
		return w, nil
	}
	h, err := hours.Parse(x.Hours)
	if err != nil {
		return nil, err
	}
	w, err := hours.In(x.Country, h)
	if err != nil {
		return nil, err
	}
	if c.by == nil {
		c.by = map[ledger.CountryHours]*hours.Window{}
	}
	c.by[x] = w
	return w, nil
}
