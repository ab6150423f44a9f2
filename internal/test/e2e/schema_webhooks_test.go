package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/webhook"
)

// The method "webhooks" makes a webhook by the HTTP API and changes its secret. It also delivers events to a webhook
// of the configuration, whose receiver takes only the first message.
func (r *schemaRig) webhooks() {
	var requests atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) > 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer receiver.Close()
	runner := script.NewRunner(r.rdb, script.Durability{})
	hooks := webhook.New(runner, r.client, zerolog.Nop())
	made, _, err := hooks.Create(r.t.Context(), webhook.Endpoint{Name: "made", URL: "https://receiver.invalid/", Events: []string{events.OptOutAdded}})
	r.ok(err)
	_, _, err = hooks.Rotate(r.t.Context(), made.Name)
	r.ok(err)
	hooks.SetConfigured([]webhook.Endpoint{{Name: "hook", URL: receiver.URL, AllowPrivate: true, Events: []string{events.CampaignState}, Secrets: made.Secrets}})
	ctx, cancel := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	running.Go(func() { hooks.Run(ctx) })
	r.until("the lease", func() bool { return r.rdb.HExists(ctx, "tuma:webhook:{hook}", "cursor").Val() })
	stream := events.New(runner, 0)
	for i := range 2 {
		r.ok(stream.Add(ctx, events.Event{Kind: events.CampaignState, Campaign: "ordinary", State: "done"}))
		r.until("a request", func() bool { return int(requests.Load()) > i })
	}
	r.until("a message to wait", func() bool { return r.rdb.ZCard(ctx, "tuma:webhook:{hook}:waiting").Val() == 1 })
	cancel()
	running.Wait()
}
