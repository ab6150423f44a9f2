package main

import (
	"context"
	"runtime/debug"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/server/api"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/webhook"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/ratelimit"
)

// newWebhooks returns the webhooks of `tuma serve`, including the webhooks of the configuration.
func newWebhooks(b *backend, log zerolog.Logger) *webhook.Service {
	s := webhook.New(script.NewRunner(b.rdb, b.cfg.Redis.Durability), b.Client, log)
	s.SetConfigured(b.cfg.Webhooks)
	return s
}

// newAPI returns the HTTP API of `tuma serve`. The API ends with ctx.
func newAPI(ctx context.Context, b *backend, hooks *webhook.Service, tracer *tracing.Tracer, log zerolog.Logger) *api.API {
	info, _ := debug.ReadBuildInfo()
	return api.New(api.Config{Client: b.Client, Keys: keys.New(script.NewRunner(b.rdb, b.cfg.Redis.Durability)), Audit: audit.New(b.rdb), Webhooks: hooks, Tracer: tracer, Logger: log, Draining: ctx.Done(),
		Version: readBuild(info).release(version), Rate: func(ctx context.Context, account, rate string) error { return changeRate(ctx, b, account, rate) }})
}

// changeRate sets the rate of an account from a text such as "80/s", or restores the configured
// rate.
func changeRate(ctx context.Context, b *backend, account, text string) error {
	store := accounts.New(script.NewRunner(b.rdb, b.cfg.Redis.Durability))
	acc, err := store.Account(ctx, account)
	if err != nil {
		return producer.ErrUnknownAccount
	}
	if text == "default" {
		return store.SetRate(ctx, account, "")
	}
	rate, err := ratelimit.ParseRate(text)
	if err != nil {
		return &producer.FieldError{Field: "rate", Problem: `must be like 50/s or 600/m, 0 for no limit, or "default" for the configured rate`}
	}
	setting, err := ratelimit.Setting(rate, acc.ConfiguredBurst)
	if err != nil {
		return &producer.FieldError{Field: "rate", Problem: err.Error()}
	}
	return store.SetRate(ctx, account, setting)
}
