package producer

import (
	"math"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/hours"
)

// Schedule is when a campaign would be sent at the accounts' rates and within the sending hours. It
// assumes that no other campaign uses the accounts, and that the gateways accept messages at these
// rates.
type Schedule struct {
	// From is when sending may begin.
	From time.Time `json:"from"`
	// Until is when the last message should be sent. It is nil if this moment cannot be calculated
	// or is more than a year away.
	Until *time.Time `json:"until"`
	// Unlimited names the accounts without a rate limit. Their sending time depends only on the
	// gateway.
	Unlimited []string `json:"unlimited"`
	// Spans are the periods in which messages are sent, in order of time. Each period is for one
	// country.
	Spans []SendingSpan `json:"stretches"`
	// Expired is the number of recipients that would not get the message before the campaign
	// expires.
	Expired int `json:"expired"`
}

// SendingSpan is a period in which messages go to recipients of one country.
type SendingSpan struct {
	// Country is the country whose sending hours apply. Empty stands for the recipients that have no
	// sending hours.
	Country    string    `json:"country"`
	From       time.Time `json:"from"`
	Until      time.Time `json:"until"`
	Recipients int       `json:"recipients"`
}

// queueing is the state of one stream while the schedule is calculated.
type queueing struct {
	account int
	country string
	window  *hours.Window // the sending hours; nil means any hour
	left    float64       // number of recipients that have not got the message yet
	units   float64       // units of the account's rate that each recipient needs
	shut    bool
	change  time.Time // the next time at which the sending hours begin or end
}

// pace returns the stream's speed in recipients a second. The parameter "sharers" is the number of
// streams that share the account's rate.
func (q *queueing) pace(rate float64, sharers int) float64 {
	if rate <= 0 || q.units <= 0 {
		return math.Inf(1)
	}
	return rate / float64(sharers) / q.units
}

const (
	// farthest is how far into the future the method "schedule" calculates. mostSpans is the maximum
	// number of calls of the method "step" for one schedule.
	farthest  = 366 * 24 * time.Hour
	mostSpans = 20_000
)

// The method "schedule" simulates sending on all streams, within their sending hours, until no
// recipient is left.
func (p *preview) schedule() Schedule {
	s := Schedule{From: p.Now.UTC(), Unlimited: []string{}, Spans: []SendingSpan{}}
	if p.spec.StartAt.After(p.Now) {
		s.From = p.spec.StartAt.UTC()
	}
	queue, ok := p.queue(&s)
	if !ok {
		return s
	}
	now, sent := s.From, map[string]float64{}
	for range mostSpans {
		queue = slices.DeleteFunc(queue, func(q *queueing) bool { return q.left < 1e-6 })
		if len(queue) == 0 {
			s.Until = &now
			return s
		}
		expired := !p.spec.ExpiresAt.IsZero() && !now.Before(p.spec.ExpiresAt)
		if expired || now.Sub(s.From) >= farthest {
			break
		}
		now = p.step(queue, now, sent, &s)
	}
	left := 0.0
	for _, q := range queue {
		left += q.left
	}
	if x := p.spec.ExpiresAt; !x.IsZero() && !now.Before(x) {
		s.Expired = int(math.Round(left))
		s.Until = timeOrNil(x)
	}
	return s
}

// The method "queue" returns the streams with recipients. The result "ok" is false if the duration
// cannot be calculated, because an account or its sending hours are not known.
func (p *preview) queue(s *Schedule) (queue []*queueing, ok bool) {
	for n, l := range p.streams {
		stream := p.snapshot.Stream(n)
		if l.recipients == 0 {
			continue
		}
		account := n % len(p.cards)
		if !p.known[account] {
			return nil, false
		}
		q := &queueing{account: account, country: stream.SendingHours.Country, left: float64(l.recipients), units: 1}
		switch p.cards[account].Unit {
		case campaign.UnitRequests:
			q.units = float64(l.calls) / q.left
		case campaign.UnitSegments:
			q.units = float64(l.segments) / q.left
		}
		if q.country != "" {
			h, err := hours.Parse(stream.SendingHours.Hours)
			if err == nil {
				q.window, err = hours.In(q.country, h)
			}
			if err != nil {
				return nil, false
			}
		}
		if name := p.cards[account].Name; p.cards[account].Rate <= 0 && !slices.Contains(s.Unlimited, name) {
			s.Unlimited = append(s.Unlimited, name)
		}
		queue = append(queue, q)
	}
	return queue, true
}

// The method "step" simulates sending from "now" until the next change, and returns the time of that
// change. A change is the end of a stream, the beginning or the end of sending hours, or the expiry
// of the campaign.
func (p *preview) step(queue []*queueing, now time.Time, sent map[string]float64, s *Schedule) time.Time {
	next := now.Add(farthest)
	sooner := func(at time.Time) {
		if at.After(now) && at.Before(next) {
			next = at
		}
	}
	sharers := map[int]int{}
	for _, q := range queue {
		if q.window != nil && !now.Before(q.change) {
			open, change := q.window.Open(now)
			if q.shut, q.change = !open, change; change.IsZero() {
				q.change = now.Add(farthest)
			}
		}
		if q.window != nil {
			sooner(q.change)
		}
		if !q.shut {
			sharers[q.account]++
		}
	}
	if !p.spec.ExpiresAt.IsZero() {
		sooner(p.spec.ExpiresAt)
	}
	for _, q := range queue {
		if q.shut {
			continue
		}
		pace := q.pace(p.cards[q.account].Rate, sharers[q.account])
		if math.IsInf(pace, 1) {
			next = now
			break
		}
		// The added microsecond ensures that no fraction of a recipient remains after rounding.
		if seconds := q.left / pace; seconds < next.Sub(now).Seconds() {
			next = now.Add(time.Duration(seconds*float64(time.Second)) + time.Microsecond)
		}
	}
	for _, q := range queue {
		if q.shut {
			continue
		}
		pace := q.pace(p.cards[q.account].Rate, sharers[q.account])
		done := q.left
		if !math.IsInf(pace, 1) {
			done = min(q.left, pace*next.Sub(now).Seconds())
		}
		q.left -= done
		s.note(q.country, now, next, done, sent)
	}
	return next.UTC()
}

// The method "note" adds recipients to the schedule. The parameter "recipients" is the number of
// recipients of the country that get the message between the times "from" and "until". The method
// lengthens the country's last span or begins a new span. Spans count whole recipients. The parameter
// "sent" has the exact sum for each country, so that the sum of the rounded counts equals the total.
func (s *Schedule) note(country string, from, until time.Time, recipients float64, sent map[string]float64) {
	before := sent[country]
	sent[country] += recipients
	n := int(math.Round(sent[country])) - int(math.Round(before))
	for i := len(s.Spans) - 1; i >= 0; i-- {
		if last := &s.Spans[i]; last.Country == country {
			if !from.After(last.Until) {
				last.Recipients += n
				if until.After(last.Until) {
					last.Until = until.UTC()
				}
				return
			}
			break
		}
	}
	s.Spans = append(s.Spans, SendingSpan{Country: country, From: from.UTC(), Until: until.UTC(), Recipients: n})
}
