package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// Hours are a part of each day, in local time: from the time From until just before the time To.
type Hours struct {
	// From and To are times since midnight, from 0 to 24 hours. If To is not after From, the hours
	// continue past midnight.
	From, To time.Duration
}

// ParseHours parses hours such as "08:00-18:00". Seconds are optional, "24:00" is the end of the
// day, and "20:00-06:00" continues past midnight. ParseHours returns an error if s has another
// form, or if both times are the same.
func ParseHours(s string) (Hours, error) {
	h, err := hours.Parse(s)
	return Hours(h), err
}

// String returns the hours in the form that ParseHours parses.
func (h Hours) String() string { return hours.Hours(h).String() }

const (
	// openingSpread is the period over which the wake-ups of batches that wait for the same opening
	// are spread.
	openingSpread = time.Second
	// openingSlack is how far before now the spans of a claim begin. Redis' clock may step back
	// when a replica takes over.
	openingSlack = time.Hour
	// spansAhead is how many openings a claim is given, including the current one. A pass over a
	// batch may outlast the current opening.
	spansAhead = 3
)

// schedule holds the times at which a batch may be sent, for one pass over it.
type schedule struct {
	spans []ledger.Span
	now   time.Time // now by Redis' clock
	at    time.Time // this process' time when the field now was read
}

// open returns the spans that Redis checks a claim against; nil means any time.
func (c *schedule) open() []ledger.Span {
	if c == nil {
		return nil
	}
	return c.spans
}

// closed reports whether a claim would be refused now. It judges by this process' clock, to avoid a
// useless reservation. The claim itself makes the decision.
func (c *schedule) closed() bool {
	if c == nil {
		return false
	}
	now := c.now.Add(time.Since(c.at))
	return !slices.ContainsFunc(c.spans, func(s ledger.Span) bool { return !now.Before(s.From) && now.Before(s.Until) })
}

// next returns a schedule that is never open. The refusal of a claim with that schedule names the
// next opening.
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

// readSchedule returns when the current batch may be sent. It returns nil if the batch may be sent
// at any time.
func (s *batchSender) readSchedule(ctx context.Context) (*schedule, error) {
	stream, err := s.camp.snapshot.StreamOf(s.batch)
	if err != nil || stream.SendingHours == (campaign.CountryHours{}) {
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

// whileClosed claims a generation outside its sending hours, without a reservation. The refusal
// names the time of the next try. It may also end the generation, if the campaign was stopped or no
// call can resolve the generation's doubt.
func (s *batchSender) whileClosed(ctx context.Context, g *ledger.Generation) (step, time.Time, error) {
	was := s.schedule
	s.schedule = was.next()
	defer func() { s.schedule = was }()
	st, at, err := s.claimExpectingRefusal(ctx, g)
	if errors.Is(err, ledger.ErrNotDurable) {
		return stepLater, s.schedule.spans[0].From, nil // the claim allowed no call, so it does not matter whether its refusal is durable
	}
	return st, at, err
}

// snapshotHours returns the configured sending hours, for the plan snapshot of a campaign.
func (w *Worker) snapshotHours() (out []campaign.CountryHours) {
	for _, country := range slices.Sorted(maps.Keys(w.cfg.Windows)) {
		out = append(out, campaign.CountryHours{Country: country, Hours: w.cfg.Windows[country].String()})
	}
	return out
}

// checkSendingHours returns an error if some hours never open. It also returns an error if there
// are more streams than a campaign can have. Each account needs one stream for each country with
// hours.
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
	if n := max(1, len(accounts)) * (1 + len(w.cfg.Windows)); n > campaign.MaxStreams {
		mistakes = append(mistakes, fmt.Errorf("%d accounts in routes with sending hours of %d countries make %d streams; at most %d are possible", len(accounts), len(w.cfg.Windows), n, campaign.MaxStreams))
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

// hoursCache caches windows by country and hours, because loading time zones is slow.
type hoursCache struct {
	mu sync.Mutex
	by map[campaign.CountryHours]*hours.Window
}

func (c *hoursCache) get(x campaign.CountryHours) (*hours.Window, error) {
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
		c.by = map[campaign.CountryHours]*hours.Window{}
	}
	c.by[x] = w
	return w, nil
}
