package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// EventKind is the kind of an Event. Later versions may add kinds, so a reader must skip an event of an unknown
// kind.
type EventKind string

// The kinds of events.
const (
	// CampaignStateChanged: a campaign started, was paused, was resumed, or has ended.
	CampaignStateChanged EventKind = events.CampaignState
	// CampaignProgressed: the counts of a running campaign have changed.
	CampaignProgressed EventKind = events.CampaignProgress
	// AccountHeldEvent and AccountReleasedEvent: a hold of an account began or ended.
	AccountHeldEvent     EventKind = events.AccountHeld
	AccountReleasedEvent EventKind = events.AccountReleased
	// InboundReceived: an incoming message was stored. Client.Inbound has its text.
	InboundReceived EventKind = events.InboundReceived
	// OptOutAdded: numbers were added to a suppression list.
	OptOutAdded EventKind = events.OptOutAdded
	// MessageStatusChanged: recipients may have a new status (Event.Rows). It is written only for
	// campaigns and messages with StatusEvents.
	MessageStatusChanged EventKind = events.MessageStatus
	// EventsLost: events were removed before they were read. A reader that keeps a copy of the state
	// reads it again with Status, Accounts and Inbound, and continues with the events that follow.
	EventsLost EventKind = "events.lost"
)

// Event is an event of the event stream. Fields that its kind does not use are empty.
type Event struct {
	// Cursor is the position of the event, for the parameter "after" of Events.
	Cursor string    `json:"cursor"`
	Kind   EventKind `json:"event"`
	// At is when the event was stored, by the clock of Redis. It is zero for EventsLost.
	At time.Time `json:"at,omitzero"`
	// Campaign is the ID of a campaign. State and Counts are its state and its counts at the time of the event.
	Campaign string       `json:"campaign,omitempty"`
	State    State        `json:"state,omitempty"`
	Counts   *EventCounts `json:"counts,omitempty"`
	// Account is the account of a hold or of an incoming message.
	Account string `json:"account,omitempty"`
	// Reason is the reason for a hold or for a pause. By is the person or the worker that set the hold.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
	// ID is the gateway's ID of an incoming message, or empty. From is the sender of the message, and To is the
	// receiver. Word is "stop" or "start" if the text is an opt-out or opt-in word.
	ID   string `json:"id,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Word string `json:"word,omitempty"`
	// List is a suppression list: "*" is the list for all senders, and any other value is a sender ID. Added is how
	// many numbers were added. If only one number was added, Number is that number.
	List   string `json:"list,omitempty"`
	Added  int    `json:"added,omitempty"`
	Number string `json:"number,omitempty"`
	// Rows are the recipients of MessageStatusChanged, up to 500, with their status at the time when the event is read.
	// If the status of a recipient changes several times, several events may all show its newest status. Some recipients
	// may have the same status as before the event. Rows is empty if the campaign was removed.
	Rows []EventRow `json:"rows,omitempty"`
	// Missed is the number of the campaign's recipients that got a new status before this event and are in no event.
	// This happens if Redis could not be reached for too long. Read the statuses with Results.
	Missed int `json:"missed,omitempty"`
}

// EventRow is a recipient with its status. The fields are those of Result.
type EventRow struct {
	Row         int       `json:"row"`
	Ref         string    `json:"ref"`
	MSISDN      string    `json:"msisdn"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason"`
	Account     string    `json:"account"`
	MessageID   string    `json:"message_id"`
	Code        string    `json:"code"`
	Segments    int       `json:"segments"`
	Cost        string    `json:"cost"`
	Currency    string    `json:"currency"`
	UpdatedAt   time.Time `json:"updated_at,omitzero"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
}

// EventCounts are counts of recipients by status. Total is the sum of the other counts.
type EventCounts struct {
	Total       int `json:"total"`
	Pending     int `json:"pending"`
	Accepted    int `json:"accepted"`
	Delivered   int `json:"delivered"`
	Undelivered int `json:"undelivered"`
	Rejected    int `json:"rejected"`
	Unknown     int `json:"unknown"`
	Skipped     int `json:"skipped"`
}

// eventsPage is how many events Events reads at once.
const eventsPage = 500

// Events yields the events after a cursor, the oldest first, and then waits for further events until ctx
// ends. An empty cursor stands for the oldest event that Tuma keeps: about 100,000 events or 7 days. If
// events after the cursor were removed, it yields an event of the kind EventsLost and continues with the
// remaining events. The sequence ends after an error: an ErrInvalid if the parameter "after" is not a
// cursor, an error of Redis, or the error of ctx. To continue, call Events again with the cursor of the
// last event. The sequence may yield an event twice.
func (c *Client) Events(ctx context.Context, after string) iter.Seq2[Event, error] {
	return c.events(ctx, after, true)
}

// PastEvents yields the same events as Events, and ends after the newest event.
func (c *Client) PastEvents(ctx context.Context, after string) iter.Seq2[Event, error] {
	return c.events(ctx, after, false)
}

// LastEvent returns the cursor of the newest event. Pass the cursor to the method Events to get only later events. To
// keep a copy of the state, first call LastEvent and then read the state. Then your copy misses no change.
func (c *Client) LastEvent(ctx context.Context) (cursor string, err error) {
	return events.New(c.ledger.Runner(), 0).Last(ctx)
}

func (c *Client) events(ctx context.Context, after string, follow bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		stream, after := events.New(c.ledger.Runner(), 0), after
		for {
			page, err := stream.Page(ctx, after, eventsPage)
			var lost *events.LostError
			switch {
			case errors.As(err, &lost):
				after = lost.Next
				if !yield(Event{Kind: EventsLost, Cursor: after}, nil) {
					return
				}
				continue
			case errors.Is(err, events.ErrCursor):
				err = fmt.Errorf("%w: %w", ErrInvalid, &FieldError{Field: "after", Problem: "must be the cursor of an event, such as 1764323173000-0"})
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, s := range page {
				after = s.Cursor
				if s.Kind == "" {
					continue
				}
				e := eventOf(s)
				if e.Rows, err = eventRows(ctx, c.statusRows, s); err != nil {
					yield(Event{}, err)
					return
				}
				if !yield(e, nil) {
					return
				}
			}
			if len(page) > 0 {
				continue
			}
			if !follow {
				return
			}
			select {
			case <-ctx.Done():
				yield(Event{}, ctx.Err())
				return
			case <-time.After(c.poll):
			}
		}
	}
}

func eventOf(s events.Stored) Event {
	return Event{
		Cursor: s.Cursor, Kind: EventKind(s.Kind), At: s.At, Campaign: s.Campaign, State: State(s.State), Counts: (*EventCounts)(s.Counts),
		Account: s.Account, Reason: s.Reason, By: s.By, ID: s.ID, From: s.From, To: s.To, Word: s.Word,
		List: s.List, Added: s.Added, Number: s.Number, Missed: s.Missed,
	}
}

// eventRows reads the recipients of an event. It returns nil if the recipients cannot be read any more.
func eventRows(ctx context.Context, reader *ledger.StatusRows, s events.Stored) ([]EventRow, error) {
	if len(s.Places) == 0 {
		return nil, nil
	}
	rows, err := reader.Read(ctx, s.Campaign, s.Places)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ledger.ErrNewer) || ledger.AsUnreadable(err) != nil {
		return nil, nil //nolint:nilerr // the event stays useful without its recipients
	}
	if err != nil {
		return nil, fmt.Errorf("read the recipients of an event: %w", err)
	}
	out := make([]EventRow, 0, len(rows))
	for _, row := range rows {
		r := resultOf(row)
		out = append(out, EventRow{Row: r.Row, Ref: r.Ref, MSISDN: r.MSISDN, Status: r.Status, Reason: r.Reason, Account: r.Account, MessageID: r.MessageID,
			Code: r.Code, Segments: r.Segments, Cost: r.Cost, Currency: r.Currency, UpdatedAt: r.UpdatedAt, DeliveredAt: r.DeliveredAt})
	}
	return out, nil
}
