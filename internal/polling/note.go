package polling

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/script"
)

// Notes adds the calls of a login to the queue of the login. Workers use Notes. It is safe for concurrent use.
type Notes struct {
	queue  *Queue
	log    zerolog.Logger
	life   time.Duration
	sample int
	spans  bool
}

// NoteSettings are the settings of the Notes of a login.
type NoteSettings struct {
	// Login is the fingerprint of the login (providers.Info.Fingerprint).
	Login string
	// The field "For" is how long a call waits for delivery reports. Sample is the number of messages of a campaign
	// whose reports are requested; 0 means all messages.
	For    time.Duration
	Sample int
	// Spans is true if the gateway lists the reports of a span of time (providers.SpanPoller).
	Spans bool
	// Callbacks is true if the gateway posts reports too. Then the first step of the schedule is omitted, because most
	// reports arrive before the second step.
	Callbacks bool
}

// NewNotes returns the Notes of a login.
func NewNotes(r *script.Runner, log zerolog.Logger, s NoteSettings) *Notes {
	q := NewQueue(r, s.Login, DefaultRate)
	if s.Callbacks {
		q.first = 1
	}
	return &Notes{queue: q, log: log, life: s.For, sample: s.Sample, spans: s.Spans}
}

// Note adds a call to the queue if the sample has at least one of the call's accepted messages. The parameter "total" is
// the number of the campaign's recipients. The worker calls Note before it settles the call. If Redis refuses to store
// the call in the queue, Note logs the error and returns nil, because the worker must settle the call nevertheless. If
// Redis is away, Note returns an error, and the worker tries again.
func (n *Notes) Note(ctx context.Context, c *ledger.Claim, records []campaign.Record, total int) error {
	sent := c.Sent()
	sample, some := campaign.NewSample(sent.Campaign, total, n.sample), false
	for i, r := range records {
		some = some || i < len(sent.Rows) && r.Status == campaign.Accepted && r.MessageID != "" && sample.Has(sent.Rows[i])
	}
	if !some {
		return nil
	}
	add := n.queue.Add
	if n.spans {
		add = n.queue.AddToSpan
	}
	err := add(ctx, sent, n.life)
	var refused redis.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrFull), errors.As(err, &refused) && !outage.Away(err):
		n.log.Warn().Err(err).Msg("could not queue a call; its delivery reports will not be requested")
		return nil
	}
	return err
}
