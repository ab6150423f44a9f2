package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/producer"
)

// State is an endpoint with the state of its deliveries, without secrets.
type State struct {
	Name         string   `json:"name"`
	URL          string   `json:"url"`
	Events       []string `json:"events"`
	Source       string   `json:"source" enum:"file,api" doc:"file: the webhook is set in tuma.yaml. api: the HTTP API made it."`
	AllowPrivate bool     `json:"allow_private"`
	// CreatedAt is zero for an endpoint of tuma.yaml.
	CreatedAt time.Time `json:"created_at,omitzero"`
	// Disabled is true after the receiver answered 410.
	Disabled bool `json:"disabled" doc:"The receiver answered 410. Nothing is sent until the webhook is enabled."`
	// Cursor is the cursor of the last event that was delivered or queued.
	Cursor  string `json:"cursor,omitempty"`
	Waiting int    `json:"waiting" doc:"Messages that wait for another attempt."`
	Dead    int    `json:"dead" doc:"Messages in the dead list."`
	// Failures is the number of failed requests since the last request that succeeded.
	Failures     int       `json:"failures"`
	PausedUntil  time.Time `json:"paused_until,omitzero" doc:"Tuma sends no request before this time, because many requests have failed."`
	LastError    string    `json:"last_error,omitempty"`
	LastErrorAt  time.Time `json:"last_error_at,omitzero"`
	LastDelivery time.Time `json:"last_delivery_at,omitzero"`
}

// State returns the state of an endpoint.
func (s *Service) State(ctx context.Context, e Endpoint) (State, error) {
	pipe := s.rdb.Pipeline()
	fields := pipe.HGetAll(ctx, stateKey(e.Name))
	wait, dead := pipe.ZCard(ctx, waitingKey(e.Name)), pipe.XLen(ctx, deadKey(e.Name))
	if _, err := pipe.Exec(ctx); err != nil {
		return State{}, fmt.Errorf("read the state of webhook %s: %w", e.Name, err)
	}
	f := fields.Val()
	out := State{Name: e.Name, URL: e.URL, Events: append([]string{}, e.Events...), Source: "api", AllowPrivate: e.AllowPrivate, CreatedAt: e.CreatedAt,
		Disabled: f["gone"] == e.fingerprint(), Cursor: f["cursor"], Waiting: int(wait.Val()), Dead: int(dead.Val()), Failures: script.Int(f["failures"]),
		PausedUntil: script.Milli(f["open"]), LastError: f["error"], LastErrorAt: script.Milli(f["error_at"]), LastDelivery: script.Milli(f["ok_at"])}
	if e.Configured {
		out.Source = "file"
	}
	return out, nil
}

// States returns all endpoints with their states, by name.
func (s *Service) States(ctx context.Context) ([]State, error) {
	list, err := s.Endpoints(ctx)
	if list == nil && err != nil {
		return nil, err
	}
	if err != nil {
		s.log.Error().Err(err).Msg("list of webhooks: some webhooks are left out, because their records cannot be read")
	}
	out := make([]State, len(list))
	for i, e := range list {
		if out[i], err = s.State(ctx, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Enable makes Tuma deliver to an endpoint again. Use it after the receiver of the endpoint answered 410,
// or after Tuma paused the endpoint because many requests had failed.
func (s *Service) Enable(ctx context.Context, name string) error {
	if _, err := s.endpoint(ctx, name); err != nil {
		return err
	}
	if err := s.rdb.HSet(ctx, stateKey(name), "gone", "", "open", 0).Err(); err != nil {
		return fmt.Errorf("enable webhook %s: %w", name, err)
	}
	return nil
}

// Ping sends the event webhook.ping to an endpoint immediately, in one attempt. It has no effect on other messages. If
// the receiver does not take the message, Attempt.Delivered is false and the error is nil. A non-nil error is an error
// of Redis or producer.ErrNotFound.
func (s *Service) Ping(ctx context.Context, name string) (Attempt, error) {
	e, err := s.endpoint(ctx, name)
	if err != nil {
		return Attempt{}, err
	}
	now, err := s.now(ctx)
	if err != nil {
		return Attempt{}, err
	}
	body, err := newBody(producer.Event{Kind: "webhook.ping", At: now.UTC()}, now)
	if err != nil {
		return Attempt{}, fmt.Errorf("ping webhook %s: %w", name, err)
	}
	return s.sender.send(ctx, &e, "ping_"+script.NewToken(), now, body), nil
}

// Dead is a message that was given up.
type Dead struct {
	// ID is the position of the message in the dead list. The methods Redeliver and Dead take such IDs.
	ID string `json:"id"`
	// MessageID is the value of the header webhook-id.
	MessageID string `json:"message_id"`
	// At is the time at which the message was given up. FirstAttempt is the time of the first attempt.
	At           time.Time `json:"at"`
	FirstAttempt time.Time `json:"first_attempt_at,omitzero"`
	Attempts     int       `json:"attempts"`
	Error        string    `json:"error"`
	// Event is the event of the message.
	Event producer.Event `json:"event"`

	member string
	body   json.RawMessage
}

// Dead returns messages of the dead list, the oldest first. The parameter "limit" is their maximum number. The
// parameter "after" is the ID of a message, and Dead begins with the message that follows. If "after" is empty, Dead
// begins with the oldest message.
func (s *Service) Dead(ctx context.Context, name, after string, limit int) ([]Dead, error) {
	if _, err := s.endpoint(ctx, name); err != nil {
		return nil, err
	}
	from := "-"
	if after != "" {
		from = "(" + after
	}
	list, err := s.rdb.XRangeN(ctx, deadKey(name), from, "+", int64(limit)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the dead list of webhook %s: %w", name, err)
	}
	return deadOf(list), nil
}

func deadOf(list []redis.XMessage) []Dead {
	out := make([]Dead, 0, len(list))
	for _, x := range list {
		ms, _ := script.CursorNumbers(x.ID)
		var r record
		var p payload
		d := Dead{ID: x.ID, At: script.Milli(strconv.FormatUint(ms, 10)), member: script.Text(x.Values["m"])}
		d.MessageID = parseMember(d.member).id()
		if json.Unmarshal([]byte(script.Text(x.Values["r"])), &r) == nil && json.Unmarshal(r.Body, &p) == nil {
			d.Attempts, d.Error, d.Event, d.FirstAttempt = r.Attempts, r.Error, p.Data, time.UnixMilli(r.First).UTC()
			d.body = r.Body
		}
		out = append(out, d)
	}
	return out
}

// redeliverAtOnce is the number of messages that one run of the script moves.
const redeliverAtOnce = 100

// Redeliver moves messages from the dead list back to the waiting messages, for another 24 h of attempts. If the
// parameter "ids" is empty, it moves all messages. Redeliver returns how many of these messages are waiting now. It does
// not count a message that is not in the dead list, or that does not fit into the waiting messages.
func (s *Service) Redeliver(ctx context.Context, name string, ids []string) (int, error) {
	if len(ids) > 0 {
		if _, err := s.endpoint(ctx, name); err != nil {
			return 0, err
		}
		list, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, id := range ids {
				p.XRangeN(ctx, deadKey(name), id, id, 1)
			}
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("read the dead list of webhook %s: %w", name, err)
		}
		var found []Dead
		for _, c := range list {
			if x, ok := c.(*redis.XMessageSliceCmd); ok {
				found = append(found, deadOf(x.Val())...)
			}
		}
		return s.revive(ctx, name, found)
	}
	total, after := 0, ""
	for {
		list, err := s.Dead(ctx, name, after, redeliverAtOnce)
		if err != nil || len(list) == 0 {
			return total, err
		}
		n, err := s.revive(ctx, name, list)
		if total += n; err != nil || n < len(list) {
			return total, err
		}
		after = list[len(list)-1].ID
	}
}

// revive moves messages from the dead list to the waiting messages.
func (s *Service) revive(ctx context.Context, name string, list []Dead) (int, error) {
	now, err := s.now(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for len(list) > 0 {
		part := list[:min(len(list), redeliverAtOnce)]
		list = list[len(part):]
		args := script.Args(redeliverArgs{now, maxWaiting, keepFor})
		for _, d := range part {
			text, err := record{Body: d.body}.text()
			if err != nil {
				return total, fmt.Errorf("redeliver to webhook %s: %w", name, err)
			}
			args = append(args, script.Args(deadChange{d.ID, d.member, text})...)
		}
		out, err := s.scripts.Run(ctx, redeliverScript, []string{deadKey(name), waitingKey(name), recordsKey(name)}, args...)
		if err != nil {
			return total, fmt.Errorf("redeliver to webhook %s: %w", name, err)
		}
		total += script.Int(out[0])
	}
	return total, nil
}
