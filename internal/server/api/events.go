package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/producer"
)

const (
	// keepAlive is the time after which the server sends a comment on a stream without events, so that proxies keep
	// the connection.
	keepAlive = 15 * time.Second
	// maxStreams is the maximum number of streams of events that one process serves at once.
	maxStreams = 100
)

var errStreams = errors.New("too many streams of events are open at the moment: try again later")

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" pattern:"^([0-9]+-[0-9]+)?$" doc:"The cursor of the last event that you have. Browsers send it by themselves."`
	After       string `query:"after" pattern:"^([0-9]+-[0-9]+)?$" doc:"The same as the header Last-Event-ID. Default: the oldest event that Tuma keeps."`
}

func (a *API) addEvents() {
	op := operation("stream-events", http.MethodGet, "/v1/events", "The event stream, as server-sent events", keys.ScopeRead,
		describe("Streams the events of docs/events.md until you close the connection. The id of an event is the event's cursor. The data of an event is JSON. After a break, continue with the last id."))
	op.Responses = map[string]*huma.Response{"200": {Description: "Events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.huma, op, a.streamEvents)
}

func (a *API) streamEvents(_ context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	after := cmp.Or(in.LastEventID, in.After)
	select {
	case a.streams <- struct{}{}:
	default:
		return nil, a.problem(errStreams)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer func() { <-a.streams }()
		_, w := humago.Unwrap(hc)
		hc.SetHeader("Content-Type", "text/event-stream")
		hc.SetStatus(http.StatusOK)
		ctx, cancel := context.WithCancel(hc.Context())
		defer cancel()
		if err := a.writeEvents(ctx, w, after); err != nil && ctx.Err() == nil {
			a.Logger.Debug().Err(err).Msg("a stream of events has ended")
		}
	}}, nil
}

// writeEvents writes events until the caller disconnects, the server drains or Redis fails.
func (a *API) writeEvents(ctx context.Context, w http.ResponseWriter, after string) error {
	events, failed := make(chan producer.Event), make(chan error, 1)
	go func() {
		for e, err := range a.Client.Events(ctx, after) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	deadlines, tick := http.NewResponseController(w), time.NewTicker(keepAlive)
	defer tick.Stop()
	send := func(text string) error {
		_ = deadlines.SetWriteDeadline(time.Now().Add(answerTimeout)) // the response recorder of a test has no deadlines
		if _, err := fmt.Fprint(w, text); err != nil {
			return err
		}
		return deadlines.Flush()
	}
	if err := send(": events\n\n"); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.Draining:
			return nil
		case err := <-failed:
			return err
		case <-tick.C:
			if err := send(": no event\n\n"); err != nil {
				return err
			}
		case e := <-events:
			data, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if err := send(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.Cursor, e.Kind, data)); err != nil {
				return err
			}
		}
	}
}
