package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/webhook"
)

type webhookInput struct {
	Name string `path:"name" maxLength:"64" example:"crm"`
}

type webhookBody struct {
	Name   string   `json:"name,omitempty" maxLength:"64" doc:"A name of your choice. Default: the header Idempotency-Key." example:"crm"`
	URL    string   `json:"url" maxLength:"2048" doc:"Gets each event as a POST. It must be an HTTPS URL." example:"https://crm.example.org/tuma"`
	Events []string `json:"events,omitempty" maxItems:"20" doc:"Kinds of events, as in docs/events.md. Default: all."`
	Secret string   `json:"secret,omitempty" maxLength:"200" doc:"whsec_ and 24 to 64 random bytes in base64. Default: Tuma makes a secret."`
}

type newWebhookInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"64" doc:"The name of the webhook, if the body has no name."`
	Body webhookBody
}

// newWebhook is a webhook that was just made, together with its secret.
type newWebhook struct {
	webhook.State
	Secret string `json:"secret,omitempty" doc:"The secret, which is not shown again. The answer to a repeated request has no secret."`
}

type newWebhookOutput struct {
	Status   int
	Location string `header:"Location"`
	Repeated string `header:"Tuma-Repeated" doc:"true: the webhook existed before this request."`
	Body     newWebhook
}

type webhooksOutput struct {
	Body struct {
		Webhooks []webhook.State `json:"webhooks"`
	}
}

type pingOutput struct {
	Body webhook.Attempt
}

type secretOutput struct {
	Body struct {
		Secret   string    `json:"secret" doc:"The new secret, which is not shown again."`
		OldUntil time.Time `json:"old_until" doc:"Until this time, messages are signed with the old secret too."`
	}
}

type deadInput struct {
	Name  string `path:"name" maxLength:"64"`
	After string `query:"after" pattern:"^([0-9]{1,15}-[0-9]{1,15})?$" doc:"The ID of the last message that you have."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type deadOutput struct {
	Body struct {
		Messages []webhook.Dead `json:"messages"`
		Next     string         `json:"next,omitempty" doc:"The ID of the last message of this page: send it as ?after= to get the next page."`
	}
}

// deadID is the ID of a message in a dead list.
type deadID string

// Schema implements huma.SchemaProvider.
func (deadID) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9]{1,15}-[0-9]{1,15}$"}
	s.PrecomputeMessages()
	return s
}

type redeliverInput struct {
	Name string `path:"name" maxLength:"64"`
	Body struct {
		IDs []deadID `json:"ids,omitempty" maxItems:"1000" doc:"IDs in the dead list. Default: all."`
	}
}

type redeliverOutput struct {
	Body struct {
		Queued int `json:"queued" doc:"Number of messages that Tuma sends again."`
	}
}

// repeatedWebhook documents the answer to a repeated request for the creation of a webhook.
func (a *API) repeatedWebhook(o *huma.Operation) {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[newWebhook](), true, "newWebhook")
	o.Responses = map[string]*huma.Response{"200": {Description: "The webhook existed before", Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}}
}

func (a *API) addWebhooks() {
	huma.Register(a.huma, operation("list-webhooks", http.MethodGet, "/v1/webhooks", "Webhooks and the state of their deliveries, without their secrets", keys.ScopeAdmin),
		func(ctx context.Context, _ *struct{}) (*webhooksOutput, error) {
			list, err := a.Webhooks.States(ctx)
			if err != nil {
				return nil, a.problem(err)
			}
			out := &webhooksOutput{}
			out.Body.Webhooks = append([]webhook.State{}, list...)
			return out, nil
		})
	huma.Register(a.huma, operation("create-webhook", http.MethodPost, "/v1/webhooks", "Make a webhook", keys.ScopeAdmin, status(http.StatusCreated), a.repeatedWebhook,
		describe("The webhook gets the events from now on. A second request with the same content gets status 200. A request with the same name and another URL, other events or another secret gets status 422.")), a.createWebhook)
	huma.Register(a.huma, operation("delete-webhook", http.MethodDelete, "/v1/webhooks/{name}", "Delete a webhook with its waiting and dead messages", keys.ScopeAdmin, status(http.StatusNoContent)),
		func(ctx context.Context, in *webhookInput) (*noOutput, error) {
			return a.changed(ctx, "webhook.delete", in.Name, "", a.Webhooks.Delete(ctx, in.Name))
		})
	huma.Register(a.huma, operation("test-webhook", http.MethodPost, "/v1/webhooks/{name}/test", "Send the event webhook.ping to a webhook immediately", keys.ScopeAdmin),
		func(ctx context.Context, in *webhookInput) (*pingOutput, error) {
			got, err := a.Webhooks.Ping(ctx, in.Name)
			if err != nil {
				return nil, a.problem(err)
			}
			a.record(ctx, "webhook.test", in.Name, "")
			return &pingOutput{got}, nil
		})
	huma.Register(a.huma, operation("enable-webhook", http.MethodPost, "/v1/webhooks/{name}/enable", "Resume the deliveries to a webhook that Tuma paused after a 410 or after many failed requests", keys.ScopeAdmin, status(http.StatusNoContent)),
		func(ctx context.Context, in *webhookInput) (*noOutput, error) {
			return a.changed(ctx, "webhook.enable", in.Name, "", a.Webhooks.Enable(ctx, in.Name))
		})
	huma.Register(a.huma, operation("rotate-webhook", http.MethodPost, "/v1/webhooks/{name}/secret", "Replace the secret of a webhook", keys.ScopeAdmin,
		describe("For another 24 hours, messages are signed with the old secret too.")), a.rotateWebhook)
	huma.Register(a.huma, operation("list-dead", http.MethodGet, "/v1/webhooks/{name}/dead", "Webhook messages that Tuma gave up after 24 hours, the oldest first", keys.ScopeAdmin), a.listDead)
	huma.Register(a.huma, operation("redeliver", http.MethodPost, "/v1/webhooks/{name}/redeliver", "Send messages of the dead list again", keys.ScopeAdmin), a.redeliver)
}

func (a *API) createWebhook(ctx context.Context, in *newWebhookInput) (*newWebhookOutput, error) {
	name, err := idOf(in.Key, in.Body.Name)
	if err != nil {
		return nil, a.problem(err)
	}
	e := webhook.Endpoint{Name: name, URL: in.Body.URL, Events: in.Body.Events}
	if in.Body.Secret != "" {
		e.Secrets = []webhook.Secret{webhook.SecretOf(in.Body.Secret)}
	}
	made, again, err := a.Webhooks.Create(ctx, e)
	if err != nil {
		return nil, a.problem(err)
	}
	out := &newWebhookOutput{Status: http.StatusCreated, Location: "/v1/webhooks"}
	if again {
		out.Status, out.Repeated = http.StatusOK, "true"
	} else {
		out.Body.Secret = made.Secrets[0].Key.Reveal()
		a.record(ctx, "webhook.create", made.Name, "")
	}
	if out.Body.State, err = a.Webhooks.State(ctx, made); err != nil {
		return nil, a.problem(err)
	}
	return out, nil
}

func (a *API) rotateWebhook(ctx context.Context, in *webhookInput) (*secretOutput, error) {
	secret, until, err := a.Webhooks.Rotate(ctx, in.Name)
	if err != nil {
		return nil, a.problem(err)
	}
	a.record(ctx, "webhook.secret", in.Name, "")
	out := &secretOutput{}
	out.Body.Secret, out.Body.OldUntil = secret.Reveal(), until
	return out, nil
}

func (a *API) listDead(ctx context.Context, in *deadInput) (*deadOutput, error) {
	list, err := a.Webhooks.Dead(ctx, in.Name, in.After, in.Limit)
	if err != nil {
		return nil, a.problem(err)
	}
	out := &deadOutput{}
	out.Body.Messages = append([]webhook.Dead{}, list...)
	if len(list) > 0 {
		out.Body.Next = list[len(list)-1].ID
	}
	return out, nil
}

func (a *API) redeliver(ctx context.Context, in *redeliverInput) (*redeliverOutput, error) {
	ids := make([]string, len(in.Body.IDs))
	for i, id := range in.Body.IDs {
		ids[i] = string(id)
	}
	n, err := a.Webhooks.Redeliver(ctx, in.Name, ids)
	if err != nil {
		return nil, a.problem(err)
	}
	a.record(ctx, "webhook.redeliver", in.Name, "")
	out := &redeliverOutput{}
	out.Body.Queued = n
	return out, nil
}
