package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/producer"
)

// errForbidden means that the key does not allow the request.
var errForbidden = errors.New("not allowed for this key")

// messageBody is a message in JSON, with the fields of producer.Message.
type messageBody struct {
	ID            string        `json:"id,omitempty" maxLength:"128" doc:"Idempotency key. The header Idempotency-Key has the same meaning."`
	To            string        `json:"to" minLength:"1" maxLength:"64" example:"+254712345678" doc:"Phone number."`
	Body          string        `json:"body" minLength:"1" maxLength:"16384" example:"Your code is 482913." doc:"Text. Braces have no meaning in it."`
	From          string        `json:"from,omitempty" maxLength:"64" example:"ACME" doc:"Sender ID. Default: the sender ID of the account."`
	Via           string        `json:"via,omitempty" maxLength:"64" example:"kobo-main" doc:"Account. Default: chosen by the workers' routes."`
	Ref           string        `json:"ref,omitempty" maxLength:"64" doc:"Your own reference."`
	Class         string        `json:"class,omitempty" enum:"transactional,marketing" doc:"Default: transactional."`
	Country       string        `json:"country,omitempty" maxLength:"2" example:"KE" doc:"ISO code for a number in national format."`
	Transliterate bool          `json:"transliterate,omitempty"`
	Flash         bool          `json:"flash,omitempty"`
	OnUnknown     string        `json:"on_unknown,omitempty" enum:"keep,resend"`
	StartAt       time.Time     `json:"start_at,omitzero" doc:"When the message may be sent. Default: now."`
	ExpiresAt     time.Time     `json:"expires_at,omitzero" doc:"If the message is not submitted by this time, it is skipped. Default: never."`
	ExpiresIn     secondsOfTime `json:"expires_in,omitempty" minimum:"1" maximum:"31536000" doc:"Expiry in seconds after the start, in place of expires_at."`
	KeepBody      bool          `json:"keep_body,omitempty" doc:"Keep the text after the message has ended."`
	StatusEvents  bool          `json:"status_events,omitempty" doc:"Write the events \"message.status\"."`
}

// secondsOfTime is a duration in seconds.
type secondsOfTime int

func (s secondsOfTime) duration() time.Duration { return time.Duration(s) * time.Second }

func (b messageBody) message(id, by string) producer.Message {
	return producer.Message{ID: id, To: b.To, Body: b.Body, From: b.From, Via: b.Via, Ref: b.Ref, Class: producer.Class(b.Class), Country: b.Country,
		Transliterate: b.Transliterate, Flash: b.Flash, OnUnknown: b.OnUnknown, StartAt: b.StartAt, ExpiresAt: b.ExpiresAt, ExpiresIn: b.ExpiresIn.duration(), KeepBody: b.KeepBody, StatusEvents: b.StatusEvents, CreatedBy: by}
}

type sendInput struct {
	Traceparent string `header:"traceparent" doc:"W3C trace context: the spans of this request join the caller's trace."`

	Key  string `header:"Idempotency-Key" maxLength:"128" doc:"ID of the message. A repeated request changes nothing."`
	Wait int    `query:"wait" minimum:"0" maximum:"30" doc:"Wait until the message has ended, up to this number of seconds."`
	Body messageBody
}

type messageOutput struct {
	Status   int
	Location string `header:"Location"`
	Repeated string `header:"Tuma-Repeated" doc:"true if the message existed already."`
	Body     producer.MessageStatus
}

type messageInput struct {
	ID   string `path:"id" maxLength:"128" example:"order-1234"`
	Wait int    `query:"wait" minimum:"0" maximum:"30" doc:"Wait until the message has ended, up to this number of seconds."`
}

func (a *API) addMessages() {
	huma.Register(a.huma, operation("send-message", http.MethodPost, "/v1/messages", "Send one message", keys.ScopeSend, status(http.StatusAccepted),
		describe("Enqueues one text to one number. A second request with the same ID and content gets status 200 and the first message. A request with the same ID and other content gets status 422.")), a.sendMessage)
	huma.Register(a.huma, operation("get-message", http.MethodGet, "/v1/messages/{id}", "Status of a message", keys.ScopeRead), a.getMessage)
}

func (a *API) sendMessage(ctx context.Context, in *sendInput) (*messageOutput, error) {
	id, err := idOf(in.Key, in.Body.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	key := keyOf(ctx)
	if err := key.MaySend(in.Body.Via, in.Body.From); err != nil {
		return nil, a.problem(fmt.Errorf("%w: %w", errForbidden, err))
	}
	taken, err := a.take(ctx, key, id, 1)
	if err != nil {
		return nil, a.problem(err)
	}
	ctx, traced := a.traceEnqueue(ctx, in.Traceparent)
	r, err := a.Client.Send(ctx, in.Body.message(id, keys.CreatedBy(key)))
	tracing.EndEnqueue(traced, 1, r.Again, err)
	a.giveBack(ctx, key, taken, r.Again, err)
	if err != nil {
		return nil, a.problem(err)
	}
	out := &messageOutput{Status: http.StatusAccepted, Location: "/v1/messages/" + r.ID}
	if r.Again {
		out.Status, out.Repeated = http.StatusOK, "true"
	}
	if !r.Again && in.Wait == 0 { // a new message is pending, so Redis need not be read
		out.Body = in.Body.pending(r)
		return out, nil
	}
	out.Body, err = a.waitMessage(ctx, r.ID, in.Wait)
	if err != nil {
		return nil, a.problem(err)
	}
	return out, nil
}

// traceEnqueue starts the span of an enqueue. header is the W3C traceparent of the request, or "".
func (a *API) traceEnqueue(ctx context.Context, header string) (context.Context, trace.Span) {
	return a.Tracer.Enqueue(tracing.With(ctx, header))
}

// The method "take" counts n messages against the daily limit of a key, and returns how many it has counted. If the
// limit is reached, it still accepts a request that repeats an earlier request, because such a request enqueues nothing.
func (a *API) take(ctx context.Context, key keys.Key, id string, n int) (taken int, err error) {
	err = a.Keys.Take(ctx, key, 0, n)
	if err == nil {
		return n, nil
	}
	if !errors.Is(err, keys.ErrSpent) || id == "" {
		return 0, err
	}
	if free, failed := a.Client.IDFree(ctx, id); failed != nil || free {
		return 0, err
	}
	return 0, nil
}

// giveBack subtracts messages from the count of a key if the request has certainly not enqueued them: the request
// repeated an earlier request, or was refused. After any other error the messages may be enqueued, so they stay
// counted. If they are enqueued and the caller repeats the request, the repeated request does not count.
func (a *API) giveBack(ctx context.Context, key keys.Key, taken int, again bool, err error) {
	refused := errors.Is(err, producer.ErrInvalid) || errors.Is(err, producer.ErrConflict) || errors.Is(err, producer.ErrFull)
	if !again && !refused {
		return
	}
	if a.Keys.GiveBack(context.WithoutCancel(ctx), key, taken) != nil {
		a.Logger.Debug().Msg("could not give messages back to the daily limit of a key")
	}
}

// The method "pending" returns the status of a message that was enqueued just now.
func (b messageBody) pending(r producer.MessageReceipt) producer.MessageStatus {
	st := producer.MessageStatus{ID: r.ID, Ref: b.Ref, To: r.To, Status: "pending", BlockedBy: []producer.Block{}, From: b.From, Body: b.Body,
		Class: cmp.Or(producer.Class(b.Class), producer.Transactional), CreatedAt: r.CreatedAt}
	for _, name := range r.NoWorker {
		st.BlockedBy = append(st.BlockedBy, producer.Block{Account: name, Reason: "no_worker"})
	}
	return st
}

func (a *API) getMessage(ctx context.Context, in *messageInput) (*messageOutput, error) {
	st, err := a.waitMessage(ctx, in.ID, in.Wait)
	if err != nil {
		return nil, a.problem(err)
	}
	return &messageOutput{Status: http.StatusOK, Body: st}, nil
}

// waitMessage waits until a message has ended, or until the given number of seconds has passed. It returns the status
// of the message.
func (a *API) waitMessage(ctx context.Context, id string, seconds int) (producer.MessageStatus, error) {
	if seconds > 0 {
		waiting, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
		defer cancel()
		if _, err := a.Client.Wait(waiting, id); err != nil && waiting.Err() == nil {
			return producer.MessageStatus{}, err
		}
	}
	return a.Client.Message(ctx, id)
}

// idOf returns the ID from the header Idempotency-Key or from the body.
func idOf(header, body string) (string, error) {
	if header != "" && body != "" && header != body {
		return "", &producer.FieldError{Field: "id", Problem: "differs from the header Idempotency-Key"}
	}
	if header != "" {
		return header, nil
	}
	return body, nil
}
